"use strict";
// Lists the accounts of the run: search, sort, filter, open. Without this script the page keeps its own short list.
// What is searched, filtered and sorted stands in the address (#status=failed&ou=Root/Workloads), so that it can be sent.
// The data is described in accounts.py. Text reaches the page as text alone, never as HTML.
(() => {
  const PAGE = 100; // rows drawn at once; a button draws more
  const PRINTED = 500; // accounts on paper
  const NAMED = 20; // users of one kind in an account on paper
  const [NAME, VERDICT, OUTCOME, VIA, CONSOLE, KEYS, KEYS_USED, DAYS, REASON, DEVICE, ENROLLED, CREDENTIALS, GUARD, UNUSED,
    AT_RISK] = [...Array(15).keys()];

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const body = byId("list").tBodies[0];
  const headers = [...document.querySelectorAll("#list > thead th")];
  const query = byId("query");
  const selects = ["ou", "owner", "status", "verdict", "outcome", "cause"].map(byId);
  const IN_ADDRESS = { verdict: "users" }; // where a filter is not called by the ID of its control
  const choices = {}; // what each control offers, as it stands in the address
  const [WITHOUT_MFA, , WITH_MFA] = [0, 1, 2]; // the order of the verdicts
  const NONE = data.outcomes.length - 1;
  const INSPECTED = 2; // failed and not reached stand before it
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const accounts = data.accounts.map(([
    id, name, alias, ou, owner, status, failing, root, changes, error, causes, users, unread], index) => {
    const account = {
      index, id, status, failing, root, causes, users, unread, names: null,
      title: alias.trim() || name.trim() || id,
      name, ou: data.texts[ou], owner: data.texts[owner], changes: data.texts[changes],
      error: error ? error.map((text) => data.texts[text]) : null,
      without: 0, toFix: 0, days: -1, counts: new Array(data.outcomes.length).fill(0),
    };
    for (const user of users) {
      account.counts[user[OUTCOME]] += 1;
      if (user[VERDICT] === WITHOUT_MFA) account.without += 1;
      if (isToFix(user)) account.toFix += 1;
      account.days = Math.max(account.days, user[DAYS] ?? -1);
    }
    const said = [account.title, id, name, account.ou, account.owner, ...(account.error || []), root ? "root user without MFA" : "",
      ...unread.map(([user]) => user)];
    account.text = said.join("\n").toLowerCase();
    return account;
  });

  const tellsOus = accounts.some((account) => account.ou);
  const judges = headers.some((header) => header.dataset.key === "without"); // a release looks at nobody's MFA
  const filter = { query: "", ou: null, owner: null, status: null, verdict: null, outcome: null, cause: null };
  let isRead = false; // whether the address was, so that it may be written
  let sort = null; // null: worst first, the order of the data
  let found = accounts;
  let drawn = PAGE;
  const opened = new Set();

  function isToFix(user) {
    return data.verdicts[user[VERDICT]][2] === 1 || data.outcomes[user[OUTCOME]][2] === 1 || user[AT_RISK] === 1;
  }

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.filter(Boolean));
    return node;
  }

  const number = (value) => value.toLocaleString("en");
  const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
  const tag = ([label, tone], prefix = "") => make("span", { class: `tag ${tone}` }, prefix + label);
  const bidi = (text) => make("bdi", {}, text);
  const date = (day) => new Date(day * 86400000).toISOString().slice(0, 10);

  // -- what is found

  const filtersUsers = () => filter.verdict !== null || filter.outcome !== null;

  function matcher(account) {
    // Where the account itself is what was searched for, all of its users are.
    const isNamed = account.text.includes(filter.query);
    account.names ||= account.users.map((user) => user[NAME].toLowerCase());
    return (user, index) =>
      (filter.verdict === null || user[VERDICT] === filter.verdict) &&
      (filter.outcome === null || user[OUTCOME] === filter.outcome) &&
      (isNamed || account.names[index].includes(filter.query));
  }

  function isFound(account) {
    if (filter.status !== null && account.status !== filter.status) return false;
    if (filter.cause !== null && !account.causes.includes(filter.cause)) return false;
    if (filter.owner !== null && account.owner !== choices.owner[filter.owner]) return false;
    const ou = filter.ou === null ? null : choices.ou[filter.ou];
    if (ou !== null && account.ou !== ou && !(ou && account.ou.startsWith(`${ou}/`))) return false;
    if (!filtersUsers() && account.text.includes(filter.query)) return true;
    return account.users.some(matcher(account));
  }

  const isText = (key) => key === "title" || key === "ou";

  function find() {
    found = accounts.filter(isFound);
    if (sort) {
      const way = sort.descending ? -1 : 1;
      const value = (account) => (sort.key === "users" ? account.users.length : account[sort.key]);
      const compare = isText(sort.key) ? collator.compare : (a, b) => a - b;
      found.sort((a, b) => way * compare(value(a), value(b)) || a.index - b.index);
    }
    drawn = PAGE;
    draw();
  }

  // -- the address

  function writeAddress() {
    if (!isRead) return;
    const said = new URLSearchParams();
    if (filter.query) said.set("q", filter.query);
    for (const { id } of selects) {
      if (filter[id] !== null) said.set(IN_ADDRESS[id] || id, choices[id][filter[id]]);
    }
    if (sort) said.set("sort", (sort.descending ? "-" : "") + sort.key);
    const words = said.toString();
    if (words || location.hash.includes("=")) history.replaceState(null, "", `#${words || "accounts"}`);
  }

  function readAddress() {
    // What the address names and this page does not have is passed over.
    isRead = true;
    if (!location.hash.includes("=")) return;
    const said = new URLSearchParams(location.hash.slice(1));
    query.value = said.get("q") || "";
    filter.query = query.value.trim().toLowerCase();
    for (const select of selects) {
      const named = said.get(IN_ADDRESS[select.id] || select.id);
      const position = (choices[select.id] || []).indexOf(named);
      select.value = named === null || position < 0 ? "" : String(position);
      filter[select.id] = select.value === "" ? null : position;
    }
    const [, minus, key] = /^(-?)(\w+)$/.exec(said.get("sort") || "") || [];
    sort = headers.some((header) => header.dataset.key === key) ? { key, descending: minus === "-" } : null;
    find();
    byId("accounts").scrollIntoView();
  }

  // -- rows

  function row(account) {
    const isOpen = opened.has(account);
    const button = make("button", { type: "button", class: "toggle", "aria-expanded": String(isOpen) }, bidi(account.title));
    const isWhole = !filtersUsers() && account.text.includes(filter.query);
    const matching = isWhole ? "" : count(account.users.filter(matcher(account)).length, "matching user");
    const tags = account.counts.map((times, outcome) =>
      times && outcome !== NONE ? tag(data.outcomes[outcome], `${number(times)} `) : null);
    const risks = account.users.filter((user) => user[AT_RISK] === 1).length;
    if (risks) tags.unshift(tag(data.risk, `${number(risks)} `));
    if (account.root) tags.unshift(tag(["root without MFA", "warn"]));
    if (account.error) tags.unshift(tag([account.error[1], data.statuses[account.status][1]]));
    // No users listed is not the same as no users there.
    const isRead = account.status === INSPECTED || account.users.length > 0;
    const node = make("tr", { class: "account" },
      make("th", { scope: "row" }, button, make("span", { class: "id" }, account.id),
        matching ? make("span", { class: "matching" }, matching) : null),
      tellsOus ? make("td", { class: "ou", "data-label": "OU" }, breakable(account.ou)) : null,
      make("td", { "data-label": "Status" }, tag(data.statuses[account.status])),
      make("td", { class: "number", "data-label": "Users" }, isRead ? number(account.users.length) : ""),
      judges ? make("td", { class: "number", "data-label": "Without MFA" }, isRead ? number(account.without) : "") : null,
      make("td", { class: "tags", "data-label": "Outcome" }, ...tags),
      make("td", { class: "number", "data-label": "Longest open" }, account.days < 0 ? "" : `${number(account.days)} d`));
    button.addEventListener("click", () => toggle(account, node, button));
    return node;
  }

  function breakable(ou) {
    // A line breaks after a slash.
    const parts = ou.split("/").flatMap((name, depth) => (depth ? ["/", make("wbr", {}), name] : [name]));
    return ou ? make("bdi", {}, ...parts) : null;
  }

  function toggle(account, node, button) {
    const opens = !opened.has(account);
    if (opens) {
      opened.add(account);
      node.after(detail(account));
    } else {
      opened.delete(account);
      node.nextElementSibling.remove();
    }
    button.setAttribute("aria-expanded", String(opens));
  }

  function detail(account, isShown = matcher(account)) {
    const cell = make("td", { colspan: headers.length });
    const place = [account.ou, account.owner ? `owner: ${account.owner}` : ""].filter(Boolean).join(", ");
    if (place) cell.append(make("p", { class: "place" }, bidi(place)));
    if (account.error) {
      const [stage, code, message, remedy] = account.error;
      cell.append(make("p", {}, make("strong", {}, `${data.statuses[account.status][0]} ${stage} (${code})`),
        message ? `: ${message}` : ""));
      const runs = account.failing > 1 ? ` Failing for ${count(account.failing, "run")}.` : "";
      if (remedy || runs) cell.append(make("p", {}, remedy ? `Try: ${remedy}` : "", runs));
    }
    if (account.root) {
      cell.append(make("p", {}, make("strong", {}, "Root user without MFA"),
        ": it has a password or access keys. Register an MFA device, or delete the root credentials."));
    }
    if (account.title !== account.name && account.name) cell.append(make("p", {}, "Organizations name: ", bidi(account.name)));
    if (account.changes) cell.append(make("p", {}, `Policy and group: ${account.changes}`));
    if (account.unread.length) {
      const named = account.unread.map(([user, days]) => `${user} (for ${count(days, "day")})`);
      cell.append(make("p", {}, `Without MFA when last read: ${named.join(", ")}`));
    }
    const users = account.users.filter(isShown);
    if (users.length) cell.append(userTable(account, users));
    if (users.length < account.users.length) cell.append(rest(account, users.length));
    if (!cell.hasChildNodes()) cell.append(make("p", {}, account.users.length ? "No user is shown." : "No users."));
    return make("tr", { class: "detail" }, cell);
  }

  function rest(account, shown) {
    const words = `${number(shown)} of ${count(account.users.length, "user")} shown. `;
    const button = make("button", { type: "button" }, `Show all users of ${account.title}`);
    button.addEventListener("click", () => {
      const whole = detail(account, () => true);
      button.closest("tr").replaceWith(whole);
      whole.querySelector(".users").focus();
    });
    return make("p", {}, words, button);
  }

  function userTable(account, users) {
    const titles = ["User", "MFA", "Outcome", "Via", "Console password", "Active keys", "Open for", "Reason"];
    const head = make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)));
    const listed = make("tbody", {});
    const region = make("div", { class: "users", role: "region", tabindex: "0", "aria-label": `Users of ${account.title}` },
      make("table", {}, make("thead", {}, head), listed));
    const more = make("button", { type: "button" });
    const drawMore = () => {
      const from = listed.rows.length;
      listed.append(...users.slice(from, from + PAGE).map((user) => userRow(user, titles)));
      const left = users.length - listed.rows.length;
      if (left) more.textContent = `Show ${number(Math.min(left, PAGE))} more of ${count(left, "user")}`;
      else more.remove();
    };
    region.append(more);
    more.addEventListener("click", () => { drawMore(); region.focus(); });
    drawMore();
    return region;
  }

  function userRow(user, titles) {
    const [verdict, outcome] = [data.verdicts[user[VERDICT]], data.outcomes[user[OUTCOME]]];
    const cells = [
      make("span", {}, tag(verdict), device(user)),
      user[AT_RISK] === 1 ? tag(data.risk) : user[OUTCOME] === NONE ? "" : tag(outcome),
      data.vias[user[VIA]],
      `${user[CONSOLE] == null ? "unknown" : user[CONSOLE] ? "yes" : "no"}${user[UNUSED] ? `, ${data.texts[user[UNUSED]]}` : ""}`,
      keys(user),
      user[DAYS] == null ? "" : count(user[DAYS], "day"),
      [user[REASON], user[GUARD]].filter(Boolean).map((text) => data.texts[text]).join("; "),
    ];
    return make("tr", {}, make("th", { scope: "row" }, bidi(user[NAME])),
      ...cells.map((cell, index) => make("td", { "data-label": titles[index + 1] }, cell)));
  }

  function device(user) {
    const known = [data.devices[user[DEVICE] || 0], user[ENROLLED] == null ? "" : `since ${date(user[ENROLLED])}`];
    const said = known.filter(Boolean).join(" ");
    return said ? make("span", { class: "note" }, said) : null;
  }

  function keys(user) {
    const used = user[KEYS_USED] == null ? "" : `, used ${date(user[KEYS_USED])}`;
    const others = user[CREDENTIALS] ? `; ${data.texts[user[CREDENTIALS]]}` : "";
    return `${user[KEYS] == null ? "unknown" : number(user[KEYS])}${used}${others}`;
  }

  // -- the list

  function rows(from, to) {
    return found.slice(from, to).flatMap((account) => (opened.has(account) ? [row(account), detail(account)] : [row(account)]));
  }

  function draw() {
    body.replaceChildren(...rows(0, drawn));
    tellMore();
    writeAddress();
    byId("reset").hidden = sort === null;
    for (const header of headers) {
      const isSorted = sort !== null && sort.key === header.dataset.key;
      if (isSorted) header.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
    const some = found.length === accounts.length ? "" : `${number(found.length)} of `;
    byId("shown").textContent = `${some}${count(accounts.length, "account")}${described()}`;
  }

  function described() {
    const chosen = selects.filter((select) => select.value).map((select) => select.selectedOptions[0].dataset.label);
    if (filter.query) chosen.unshift(`“${filter.query}”`);
    return chosen.length ? `: ${chosen.join(", ")}` : "";
  }

  function drawMore() {
    const more = rows(drawn, drawn + PAGE);
    drawn += PAGE;
    body.append(...more);
    tellMore();
    more[0].querySelector("button").focus();
  }

  function tellMore() {
    const left = Math.max(0, found.length - drawn);
    byId("more").hidden = left === 0;
    byId("more").textContent = `Show ${number(Math.min(left, PAGE))} more of ${count(left, "account")}`;
  }

  function drawForPrint() {
    // On paper nothing opens, and remedies stand under what to do: of each account that needs a hand, or of each that was
    // asked for, a line for each kind of user who has no MFA or is to fix.
    const isAsked = found.length < accounts.length;
    const wanted = isAsked ? found : found.filter((account) => account.causes.length);
    const printed = wanted.slice(0, PRINTED).flatMap((account) => {
      const isListed = matcher(account);
      const shown = account.users.filter((user, index) =>
        isListed(user, index) && (isToFix(user) || (isAsked && user[VERDICT] !== WITH_MFA)));
      const node = row(account);
      return shown.length || account.unread.length ? [node, summary(account, shown)] : [node];
    });
    const left = accounts.length - printed.filter((each) => each.className === "account").length;
    const rest = make("td", { colspan: headers.length },
      `${count(left, "more account")} not printed: orgmfa report --csv writes all.`);
    body.replaceChildren(...printed, ...(left ? [make("tr", { class: "detail" }, rest)] : []));
  }

  function summary(account, users) {
    const cell = make("td", { colspan: headers.length });
    const byWords = new Map();
    for (const user of users) {
      const [state] = user[OUTCOME] === NONE ? data.verdicts[user[VERDICT]] : data.outcomes[user[OUTCOME]];
      const words = user[AT_RISK] === 1 ? data.risk[0] : state;
      byWords.set(words, [...(byWords.get(words) || []), user[NAME]]);
    }
    for (const [words, names] of byWords) {
      const more = names.length > NAMED ? ` and ${number(names.length - NAMED)} more` : "";
      cell.append(make("p", {}, make("strong", {}, words), ": ", bidi(names.slice(0, NAMED).join(", ") + more)));
    }
    if (account.unread.length) {
      cell.append(make("p", {}, `Without MFA when last read: ${account.unread.map(([user]) => user).join(", ")}`));
    }
    return make("tr", { class: "detail" }, cell);
  }

  // -- controls

  function offer(id, entries) {
    // Offers [name in the address, label, how many]; what nobody has is left out.
    const select = byId(id);
    if (!entries.some(([, , times]) => times)) {
      select.closest("p").remove();
      selects.splice(selects.indexOf(select), 1);
      return;
    }
    choices[id] = entries.map(([name]) => name);
    const options = entries.map(([, label, times], index) => times &&
      make("option", { value: String(index), "data-label": label }, `${label} (${number(times)})`));
    select.append(make("option", { value: "" }, "all"), ...options.filter(Boolean));
    select.addEventListener("change", () => {
      filter[id] = select.value === "" ? null : Number(select.value);
      find();
    });
  }

  function counted(values) {
    const times = new Map();
    for (const value of values) times.set(value, (times.get(value) || 0) + 1);
    return times;
  }

  function ous() {
    // Each OU with the accounts in it and below. All paths begin with the root: it is left out of what is read.
    const above = (ou) => ou.split("/").map((_, depth, names) => names.slice(0, depth + 1).join("/"));
    const times = counted(accounts.flatMap((account) => above(account.ou)));
    const label = (path) => path.slice(path.indexOf("/") + 1) || "not known";
    return [...times.keys()].sort(collator.compare).map((path) => [path, label(path), times.get(path)]);
  }

  function owners() {
    const times = counted(accounts.map((account) => account.owner));
    const names = [...times.keys()].sort(collator.compare);
    return names.some(Boolean) ? names.map((name) => [name, name || "not known", times.get(name)]) : [];
  }

  function offerWords(id, words, values) {
    const times = counted(values);
    offer(id, words.map(([label, , , name], index) => [name, label, times.get(index) || 0]));
  }

  function makeSortable(header) {
    const key = header.dataset.key;
    const button = make("button", { type: "button" }, header.textContent);
    button.addEventListener("click", () => {
      const first = !isText(key) && key !== "status"; // numbers: the largest first
      sort = { key, descending: sort && sort.key === key ? !sort.descending : first };
      find();
    });
    header.replaceChildren(button);
  }

  function makeTableSortable(table) {
    // Names as text and back into the order of the page, numbers the largest first.
    const rows = [...table.tBodies[0].rows];
    const value = (row, column) => parseInt(row.cells[column].textContent.replace(/,/g, ""), 10) || 0;
    [...table.tHead.rows[0].cells].forEach((header, column, all) => {
      const button = make("button", { type: "button" }, header.textContent);
      button.addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") ? header.getAttribute("aria-sort") === "ascending" : column > 0;
        const way = descending ? -1 : 1;
        for (const each of all) each.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const place = (row) => (column ? value(row, column) : rows.indexOf(row));
        table.tBodies[0].append(...[...rows].sort((a, b) => way * (place(a) - place(b)) || rows.indexOf(a) - rows.indexOf(b)));
      });
      header.replaceChildren(button);
    });
  }

  const ofUsers = (position) => accounts.flatMap((account) => account.users.map((user) => user[position]));
  const causes = counted(accounts.flatMap((account) => account.causes));
  offer("ou", tellsOus ? ous() : []);
  offer("owner", owners());
  offerWords("status", data.statuses, accounts.map((account) => account.status));
  offerWords("verdict", data.verdicts, judges ? ofUsers(VERDICT) : []);
  offerWords("outcome", data.outcomes, ofUsers(OUTCOME));
  offer("cause", data.causes.map((label, index) => [String(index + 1), label, causes.get(index)]));
  query.addEventListener("input", () => {
    filter.query = query.value.trim().toLowerCase();
    find();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", drawMore);
  byId("reset").addEventListener("click", () => {
    sort = null;
    find();
    query.focus();
  });
  addEventListener("beforeprint", drawForPrint);
  addEventListener("afterprint", draw);
  find();
  headers.forEach(makeSortable);
  document.querySelectorAll("table.by").forEach(makeTableSortable);
  readAddress();
  addEventListener("hashchange", readAddress);
  byId("controls").hidden = false; // last: whatever fails above leaves the short list as it was
})();
