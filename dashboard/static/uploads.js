// Uploads on the page Submit: files are sent, with a bar that says how far that is, and the page says how much is kept of the user.
// `removed`: called once that was removed. Answers with `send(files, into, sent)`: `into` is the id of an upload that they are added
// to, or ""; `sent` is called with the API's answer once all are there.
const uploads = (removed) => {
  const byId = (id) => document.getElementById(id);
  const show = (id, shown) => byId(id).classList.toggle("d-none", !shown);
  function showKept(bytes) {
    show("uploaded", bytes);
    byId("uploaded-size").textContent = farm.size(bytes);
  }
  const lookAtKept = () => farm.ask("/uploads").then((told) => showKept(told.bytes)).catch(farm.complain);
  async function send(files, into, sent) {
    const size = [...files].reduce((sum, file) => sum + file.size, 0);
    // Asked first: an answer that comes while a large body is on its way is not always seen.
    showKept((await farm.ask(`/uploads?more=${size}`)).bytes);
    const form = new FormData();
    [...files].forEach((file) => form.append("files", file, file.path || file.webkitRelativePath || file.name));
    const request = new XMLHttpRequest();
    const bar = byId("uploading");
    show("uploading", true);
    request.upload.addEventListener("progress", (event) => {
      const share = Math.round((event.loaded / event.total) * 100);
      bar.firstElementChild.style.width = `${share}%`;
      bar.setAttribute("aria-valuenow", share);
    });
    request.addEventListener("load", () => {
      show("uploading", false);
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { answer = { error: `The dashboard answered ${request.status}` }; }
      if (request.status !== 200) { farm.complain(new Error(answer.error)); return; }
      farm.content();
      lookAtKept();
      sent(answer);
    });
    request.addEventListener("error", () => { show("uploading", false); farm.complain(new Error("The upload broke off: choose the files once more")); });
    request.open("POST", `/api/v1/uploads${into ? `?upload=${into}` : ""}`);
    request.setRequestHeader("X-CSRFToken", farm.token);
    request.send(form);
  }
  byId("remove-uploads").addEventListener("click", () => farm.remove("/uploads").then((left) => {
    farm.content();
    showKept(left.bytes);
    removed();
  }).catch(farm.complain));
  lookAtKept();
  return { send };
};
