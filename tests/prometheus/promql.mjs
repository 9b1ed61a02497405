// As much of PromQL as it takes to see which series an expression asks for. What is wrong with an expression as such,
// Prometheus says itself.

const TOKEN = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|[\d.]+[a-z\d]*|=~|!~|!=|==|<=|>=|[^\s]/g;
const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan', 'atan2']);

/**
 * What an expression asks for: `selectors`, each with a metric and the matchers of its labels, and the labels that it groups
 * or joins by.
 */
export function asked(expression) {
  const tokens = expression.match(TOKEN) ?? [];
  const selectors = [];
  const grouping = new Set();
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (!/^[a-zA-Z_:]/.test(token)) continue;
    const next = tokens[at + 1];
    if (GROUPING.has(token.toLowerCase())) {
      if (next !== '(') continue; // group_left without a list
      for (at += 2; tokens[at] !== ')'; at += 1) {
        if (at >= tokens.length) throw new Error(`a list does not end: ${expression}`);
        if (tokens[at] !== ',') grouping.add(tokens[at]);
      }
    } else if (next === '(' || next === 'by' || next === 'without' || WORDS.has(token.toLowerCase())) {
      // A function, an aggregation or an operator.
    } else {
      const matchers = [];
      if (next === '{') {
        for (at += 2; tokens[at] !== '}'; at += 1) {
          if (at >= tokens.length) throw new Error(`a selector does not end: ${expression}`);
          if (tokens[at] === ',') continue;
          matchers.push({ label: tokens[at], operator: tokens[at + 1], value: tokens[at + 2].slice(1, -1) });
          at += 2;
        }
      }
      selectors.push({ metric: token, matchers });
    }
  }
  return { selectors, grouping: [...grouping] };
}

/** Every alternative that a regular expression of a matcher spells out: `a|b-(c|d)` has three. */
export function alternatives(pattern) {
  const parts = [];
  let depth = 0;
  let begin = 0;
  for (let at = 0; at <= pattern.length; at += 1) {
    if (pattern[at] === '(') depth += 1;
    if (pattern[at] === ')') depth -= 1;
    if (at === pattern.length || (pattern[at] === '|' && depth === 0)) {
      parts.push(pattern.slice(begin, at));
      begin = at + 1;
    }
  }
  return parts.flatMap((part) => {
    const group = /^(.*?)\(([^()]*)\)(.*)$/.exec(part);
    return group ? alternatives(group[2]).map((inner) => `${group[1]}${inner}${group[3]}`) : [part];
  });
}
