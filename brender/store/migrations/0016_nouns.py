"""Further files of frames, and what workers see of shared folders, by the names that they have elsewhere."""


def up(migrator, db):
    migrator.migrate(migrator.rename_column("part", "extras", "further_files"), migrator.rename_table("sight", "shared_folder"))
