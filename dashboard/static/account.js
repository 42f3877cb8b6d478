// One's own tokens, and what one is told of.
(() => {
  const byId = (id) => document.getElementById(id);
  const line = (text, doing, label) => {
    const made = farm.element("li", "list-group-item d-flex small align-items-center");
    const button = farm.button(label, label, () => doing().then(look));
    button.classList.add("ms-auto");
    made.append(farm.phrase(text), button);
    return made;
  };
  async function look() {
    const [tokens, subscriptions] = [await farm.ask("/tokens"), await farm.ask("/subscriptions")];
    byId("tokens").replaceChildren(...tokens.map((each) => line([`${each.name}, made `, farm.when(each.created), ...(each.used ? [", last used ", farm.when(each.used)] : []), ...(each.expires ? [", good until ", farm.when(each.expires)] : [])], () => farm.remove(`/tokens/${each.id}`), "Revoke")));
    byId("subscriptions").replaceChildren(...subscriptions.map((each) => line(`${each.target}: ${each.events.join(", ")}`, () => farm.remove(`/subscriptions/${each.id}`), "Stop")));
  }
  byId("new-token").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { name: byId("token-name").value };
    if (byId("token-days").value) wanted.days = Number(byId("token-days").value);
    try {
      const made = await farm.post("/tokens", wanted);
      farm.content();
      const shown = byId("fresh");
      shown.replaceChildren("Keep it now, it is shown only this once: ", farm.element("code", "copy text-break", made.token));
      shown.classList.remove("d-none");
      event.target.reset();
      await look();
    } catch (error) {
      farm.complain(error);
    }
  });
  byId("new-subscription").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = { kind: byId("kind").value, target: byId("target").value, events: byId("events").value.split(",") };
    farm.post("/subscriptions", wanted).then(() => { farm.content(); event.target.reset(); return look(); }).catch(farm.complain);
  });
  look().catch(farm.complain);
})();
