// What all pages' scripts begin with.
"use strict";
// A line of a log, of pieces that each look their way.
function lineOf(pieces) {
  const line = document.createElement("span");
  line.className = "l";
  for (const { text, class: look } of pieces) {
    const piece = document.createElement("span");
    piece.className = look;
    piece.textContent = text;
    line.append(piece);
  }
  line.append("\n");
  return line;
}
