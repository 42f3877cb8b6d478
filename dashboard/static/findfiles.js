// Which of the files that somebody chose belong where a .blend looks for files that are missing. A pure function.
//
// `chosen`: their paths, below the folder that was chosen, if one was; `places`: where the missing files belong in the upload.
// Answers with `found` (a Map of places by paths), `unclear` (paths that could belong to several places, or the other way around,
// each with these places) and `others` (paths that nothing looks for). What ends with the most names in common belongs together.
const findFiles = (chosen, places) => {
  const names = (path) => path.split(/[\\/]/).filter(Boolean).reverse();
  const common = (path, place) => {
    const one = names(path), other = names(place), first = one.findIndex((name, at) => name !== other[at]);
    return first < 0 ? one.length : first;
  };
  const best = (from, among) => {
    const scores = among.map((each) => common(from, each)), most = Math.max(0, ...scores);
    return most ? among.filter((_, at) => scores[at] === most) : [];
  };
  const found = new Map(), unclear = [], others = [];
  chosen.forEach((path) => {
    const fit = best(path, places);
    const rivals = fit.length === 1 ? best(fit[0], chosen.filter((each) => best(each, places).includes(fit[0]))) : [];
    if (fit.length > 1 || (rivals.length > 1 && rivals.includes(path))) unclear.push({ path, places: fit });
    else if (rivals[0] === path) found.set(path, fit[0]);
    else others.push(path);
  });
  return { found, unclear, others };
};
