// What admins set: path variables, who may join the bus, and how the server is.
(() => {
  const byId = (id) => document.getElementById(id);
  const line = (text, label, doing) => {
    const made = farm.element("li", "list-group-item d-flex align-items-center");
    const button = farm.button(label, label, () => doing().then(look));
    button.classList.add("ms-auto");
    made.append(farm.phrase(text, "text-break"), button);
    return made;
  };
  async function look() {
    const [paths, keys, about] = await Promise.all([farm.ask("/paths"), farm.ask("/keys"), farm.ask("/about")]);
    const lines = paths.map((row) => line(`{${row.name}} on ${row.platform}${row.site ? ` at ${row.site}` : ""}: ${row.path}`, `Forget {${row.name}}`, () => farm.remove(`/paths/${row.name}`)));
    byId("paths").replaceChildren(...(lines.length ? lines : [farm.element("li", "list-group-item text-body-secondary", "none yet")]));
    byId("keys").replaceChildren(...keys.keys.filter((key) => !key.revoked).map((key) => line([`${key.name}, ${key.role}, since `, farm.when(key.created)], "Revoke", async () => {
      if (window.confirm(`Cut off ${key.name}?`)) await farm.remove(`/keys/${key.id}`);
    })));
    farm.tellEnd(byId("keys").parentElement, keys.keys);
    const facts = { brender: about.software, "Last commit": about.change, "Write-ahead log": farm.size(about.wal_bytes), Users: about.users };
    byId("server").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [farm.element("dt", "", name), farm.element("dd", "", value)]));
  }
  byId("new-path").addEventListener("submit", (event) => {
    event.preventDefault();
    const path = { name: byId("path-name").value, platform: byId("path-platform").value, path: byId("path-folder").value, site: byId("path-site").value };
    farm.post("/paths", path).then(() => { farm.content(); event.target.reset(); return look(); }).catch(farm.complain);
  });
  // A client submits in the name of its token.
  const nameOf = () => { byId("join-name").required = byId("join-role").value === "client"; };
  byId("join-role").addEventListener("change", nameOf);
  nameOf();
  byId("new-join").addEventListener("submit", (event) => {
    event.preventDefault();
    const role = byId("join-role").value;
    farm.post("/join-tokens", { role, name: byId("join-name").value, uses: Number(byId("join-uses").value), expires: byId("join-expires").value }).then((made) => {
      farm.content();
      const how = ["worker", "manager"].includes(role) ? `brender-${role} --join ${made.token}` : `brender join ${made.token}`;
      byId("joined").replaceChildren("On that machine (shown this once): ", farm.element("code", "copy text-break", how));
      byId("joined").classList.remove("d-none");
      return look();
    }).catch(farm.complain);
  });
  look().catch(farm.complain);
})();
