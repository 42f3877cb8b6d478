// What is known of a job whose first frame has rendered for `seconds`, of which `fraction` is done: `title` and `more`, in words.
// `span` says a number of seconds. Less than a little of a frame tells nothing of the rest.
const firstFrame = (seconds, fraction, span) => {
  const least = 0.03, patience = 20;
  if (fraction >= least && fraction < 1) return { title: `First frame about ${span(seconds / fraction)}`, more: `${span(seconds * (1 / fraction - 1))} of it left` };
  return seconds < patience ? { title: "Starting", more: "" } : { title: `Rendering for ${span(seconds)}`, more: "how long a frame takes is not known yet" };
};
