// Lists what sticks out to the side, or is cut there.
(() => {
  const root = document.documentElement, out = [];
  if (root.scrollWidth > root.clientWidth) out.push(`the page: ${root.scrollWidth} > ${root.clientWidth}`);
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest(".off-screen, svg")) continue;
    const box = e.getBoundingClientRect(), name = `${e.tagName}.${e.className}`;
    if (box.right > root.clientWidth + 0.5 || box.left < -0.5) out.push(`${name}: ${box.left} to ${box.right}`);
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline") out.push(`${name} holds ${e.scrollWidth} in ${e.clientWidth}`);
  }
  return out;
})()
