// What a worker or manager uses: a row a minute from the record, and what came while this page is open.
const nodePlots = (() => {
  const live = [];
  const clock = farm.clock;

  async function show(node) {
    if (node.stats && live.at(-1)?.wall !== node.last_seen) live.push({ wall: node.last_seen, stats: node.stats });
    const kept = await farm.ask(`/nodes/${node.id}/history`);
    const rows = [...kept.filter((row) => !live.length || row.wall < live[0].wall), ...live];
    const points = (value, group) => rows.filter((row) => value(row.stats) !== undefined).map((row) => ({ x: row.wall, y: value(row.stats), group }));
    const percent = (y) => `${y.toFixed(0)} %`, rate = (y) => `${farm.size(y)}/s`;
    const drawn = [
      plot.draw("CPU", points((s) => s.cpu_percent), percent, { line: true, most: 100, showX: clock }),
      plot.draw("Memory", [...points((s) => s.memory_used, "machine"), ...points((s) => s.render_memory, "render")], farm.size, { line: true, showX: clock }),
      plot.draw("Disk", [...points((s) => s.disk_read, "read"), ...points((s) => s.disk_written, "written")], rate, { line: true, showX: clock }),
      plot.draw("Network", [...points((s) => s.network_received, "received"), ...points((s) => s.network_sent, "sent")], rate, { line: true, showX: clock }),
    ];
    if (rows.some((row) => row.stats.gpu_memory_total)) {
      drawn.push(plot.draw("GPU", points((s) => s.gpu_percent), percent, { line: true, most: 100, showX: clock }));
      drawn.push(plot.draw("GPU memory", points((s) => s.gpu_memory_used), farm.size, { line: true, showX: clock }));
    }
    if (rows.some((row) => row.stats.power)) drawn.push(plot.draw("Power", points((s) => s.power), (y) => `${y.toFixed(0)} W`, { line: true, showX: clock }));
    document.getElementById("plots").replaceChildren(...drawn);
  }
  return { show };
})();
