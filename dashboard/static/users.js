// Who may come in.
(() => {
  const byId = (id) => document.getElementById(id);
  const roles = [...byId("role").options].map((option) => option.value);
  const change = (row, what) => farm.post(`/users/${encodeURIComponent(row.name)}`, what).then(() => soon());
  const role = (row) => {
    const made = farm.element("select", "form-select form-select-sm w-auto");
    made.setAttribute("aria-label", `Role of ${row.name}`);
    roles.forEach((each) => { const option = farm.element("option", "", each); option.selected = each === row.role; made.append(option); });
    made.addEventListener("change", () => change(row, { role: made.value }).then(farm.content).catch((error) => { farm.complain(error); soon(); }));
    return made;
  };
  const buttons = (row) => {
    const made = farm.element("span", "buttons");
    made.append(row.disabled ? farm.button("Let in", "They may come in again", () => change(row, { disabled: false })) : farm.button("Keep out", "They may not come in any more", () => change(row, { disabled: true })));
    made.append(farm.button("Remove", "Remove the user, and their tokens", async () => {
      if (!window.confirm(`Remove ${row.name}?`)) return;
      await farm.remove(`/users/${encodeURIComponent(row.name)}`);
      soon();
    }, "btn-outline-danger"));
    return made;
  };
  const soon = farm.table("users", "/users", [
    { title: "Name", field: "name", classes: "fw-semibold" },
    { title: "Role", field: "role", show: role },
    { title: "E-mail", field: "email", cell: "wide said" },
    { title: "Since", field: "created", show: (row) => farm.when(row.created), cell: "wide" },
    { title: "", field: "disabled", show: (row) => (row.disabled ? "kept out" : "") },
    { title: "", show: buttons, value: () => "", orderable: false },
  ], [[0, "asc"]], ["activity"]);
  byId("new").addEventListener("submit", (event) => {
    event.preventDefault();
    const made = { name: byId("name").value, role: byId("role").value, password: byId("password").value, email: byId("email").value };
    farm.post("/users", made).then(() => { farm.content(); event.target.reset(); soon(); }).catch(farm.complain);
  });
})();
