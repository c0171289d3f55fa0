"use strict";
// Lists the accounts of the run: search, sort, filter, open. Without this script the page keeps its own short list.
// The data is described in data.py. Text reaches the page as text alone, never as HTML.
(() => {
  const PAGE = 100; // rows drawn at once; a button draws more
  const PRINTED = 500; // accounts on paper
  const [NAME, VERDICT, OUTCOME, VIA, CONSOLE, KEYS, KEYS_USED, DAYS, REASON, DEVICE, ENROLLED, CREDENTIALS, GUARD, UNUSED] =
    [...Array(14).keys()];

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const body = byId("list").tBodies[0];
  const headers = [...document.querySelectorAll("#list > thead th")];
  const query = byId("query");
  const selects = ["ou", "status", "verdict", "outcome"].map(byId);
  const [WITHOUT_MFA, UNKNOWN, WITH_MFA] = [0, 1, 2]; // the order of the verdicts
  const NONE = data.outcomes.length - 1;
  const INSPECTED = 2; // failed and not reached stand before it
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const accounts = data.accounts.map(([id, name, alias, ou, status, failing, root, changes, error, users, unread], index) => {
    const account = {
      index, id, status, failing, root, users, unread, names: null,
      title: alias.trim() || name.trim() || id,
      name, ou: data.texts[ou], changes: data.texts[changes],
      error: error ? error.map((text) => data.texts[text]) : null,
      without: 0, toFix: 0, days: -1, counts: new Array(data.outcomes.length).fill(0),
    };
    for (const user of users) {
      account.counts[user[OUTCOME]] += 1;
      if (user[VERDICT] === WITHOUT_MFA) account.without += 1;
      if (isToFix(user)) account.toFix += 1;
      account.days = Math.max(account.days, user[DAYS] ?? -1);
    }
    const said = [account.title, id, name, account.ou, ...(account.error || []), root ? "root user without MFA" : "",
      ...unread.map(([user]) => user)];
    account.text = said.join("\n").toLowerCase();
    return account;
  });

  const tellsOus = accounts.some((account) => account.ou);
  const filter = { query: "", ou: null, status: null, verdict: null, outcome: null };
  let sort = null; // null: worst first, the order of the data
  let found = accounts;
  let drawn = PAGE;
  const opened = new Set();

  function isToFix(user) {
    return user[VERDICT] === UNKNOWN || data.outcomes[user[OUTCOME]][2] === 1;
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
    if (filter.ou !== null && account.ou !== filter.ou && !(filter.ou && account.ou.startsWith(`${filter.ou}/`))) return false;
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

  // -- rows

  function row(account) {
    const isOpen = opened.has(account);
    const button = make("button", { type: "button", class: "toggle", "aria-expanded": String(isOpen) }, bidi(account.title));
    const isWhole = !filtersUsers() && account.text.includes(filter.query);
    const matching = isWhole ? "" : count(account.users.filter(matcher(account)).length, "matching user");
    const tags = account.counts.map((times, outcome) =>
      times && outcome !== NONE ? tag(data.outcomes[outcome], `${number(times)} `) : null);
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
      make("td", { class: "number", "data-label": "Without MFA" }, isRead ? number(account.without) : ""),
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
      user[OUTCOME] === NONE ? "" : tag(outcome),
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
    // On paper nothing opens: each account comes with its users who have no MFA or are to fix.
    const printed = found.slice(0, PRINTED).flatMap((account) => {
      const isListed = matcher(account);
      const isShown = (user, index) => isListed(user, index) && (user[VERDICT] !== WITH_MFA || isToFix(user));
      const says = account.error || account.root || account.unread.length || account.users.some(isShown);
      return says ? [row(account), detail(account, isShown)] : [row(account)];
    });
    const left = found.length - printed.filter((each) => each.className === "account").length;
    const rest = make("td", { colspan: headers.length }, `${count(left, "more account")} not printed.`);
    body.replaceChildren(...printed, ...(left ? [make("tr", { class: "detail" }, rest)] : []));
  }

  // -- controls

  function offerOus(select) {
    // Each OU with the accounts in it and below. All paths begin with the root: it is left out of what is read.
    const counted = new Map();
    for (const { ou } of accounts) {
      const names = ou.split("/");
      for (let depth = 1; depth <= names.length; depth += 1) {
        const path = names.slice(0, depth).join("/");
        counted.set(path, (counted.get(path) || 0) + 1);
      }
    }
    const paths = [...counted.keys()].sort(collator.compare);
    const label = (path) => path.slice(path.indexOf("/") + 1) || "not known";
    const options = paths.map((path, index) =>
      make("option", { value: String(index), "data-label": label(path) }, `${label(path)} (${number(counted.get(path))})`));
    select.append(make("option", { value: "" }, "all"), ...options);
    select.addEventListener("change", () => {
      filter.ou = select.value === "" ? null : paths[Number(select.value)];
      find();
    });
  }

  function offer(select, words, position) {
    const counted = words.map(() => 0);
    for (const account of accounts) {
      if (position === null) counted[account.status] += 1;
      else for (const user of account.users) counted[user[position]] += 1;
    }
    const options = words.map(([label], index) => counted[index] &&
      make("option", { value: String(index), "data-label": label }, `${label} (${number(counted[index])})`));
    select.append(make("option", { value: "" }, "all"), ...options.filter(Boolean));
    select.addEventListener("change", () => {
      filter[select.id] = select.value === "" ? null : Number(select.value);
      find();
    });
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

  if (tellsOus) offerOus(byId("ou"));
  else byId("ou").closest("p").remove();
  offer(byId("status"), data.statuses, null);
  offer(byId("verdict"), data.verdicts, VERDICT);
  offer(byId("outcome"), data.outcomes, OUTCOME);
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
  byId("controls").hidden = false; // last: whatever fails above leaves the short list as it was
})();
