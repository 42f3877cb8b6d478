// The files that were dropped, those in folders too, each with its `path` below what was dropped, so that they keep their places
// beside each other. `dropped`: what the event brings (a DataTransfer).
const droppedFiles = async (dropped) => {
  const found = [];
  const walk = async (entry, path) => {
    if (entry.isFile) {
      const file = await new Promise((good, bad) => entry.file(good, bad));
      file.path = path + entry.name;
      found.push(file);
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((good, bad) => reader.readEntries(good, bad));
        if (!some.length) break;
        for (const each of some) await walk(each, `${path}${entry.name}/`);
      }
    }
  };
  // (All entries are asked for first: the browser forgets them once something is awaited.)
  for (const entry of [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean)) await walk(entry, "");
  return found.length ? found : [...dropped.files];
};
