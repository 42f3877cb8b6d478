// What the job of the form Submit will come to, asked of the farm a moment after each change. `wanted`: gives the job, as the API
// takes it, or null while it is not whole; `isBlender`: whether Blender renders it; `onPage`: a sentence of the farm as this page
// says it; `judged`: called with what is wrong with the job, or "". Answers with `look`, at once, and `weigh`, soon.
const comesTo = (wanted, isBlender, onPage, judged) => {
  let timer = 0, asked = 0;
  async function look() {
    const number = asked += 1;
    const [title, more, list] = document.getElementById("comes-to").children;
    let told = null, problem = "", isWrong = false;
    const job = wanted();
    if (job) {
      try { told = await farm.post("/estimate", job); } catch (error) { problem = onPage(error.message); isWrong = error.status < 500; }
      if (number !== asked) return;
    }
    judged(isWrong ? problem : "");
    title.classList.toggle("wrong", problem !== "");
    const words = told && estimateWords(told, isBlender());
    title.replaceChildren(farm.prose(problem || (words ? words.title : "")));
    more.textContent = words ? words.more : job ? "" : "What it will come to is shown here.";
    list.replaceChildren(...(told?.warnings || []).map((each) => {
      const line = farm.element("li", "name");
      line.append(farm.prose(onPage(each)));
      return line;
    }));
  }
  function weigh() {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => look().catch(farm.complain), 300);
  }
  return { look, weigh };
};
