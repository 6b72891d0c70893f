// Setting up: who the owner is to be.

import { fieldOf, go, startGate } from "./gate.js";

fieldOf("seen").addEventListener("change", ({ target }) => {
  fieldOf("password").type = target.checked ? "text" : "password";
});

startGate({
  path: "/setup",
  begin({ asks, owner, setup_code: code }) {
    if (owner) return go("/login");
    if (asks && !code) return "Others can reach this address. Make the owner on the machine itself: vidprod owner set-password";
    fieldOf("setup_code").closest(".field").hidden = !code;
    fieldOf("setup_code").required = code;
    return "";
  },
  refused({ code }) {
    if (code === "has_owner") go("/login");
    if (code === "wrong_setup_code") fieldOf("setup_code").focus();
    if (code === "bad_password") fieldOf("password").focus();
  },
  done: () => go("/"),
});
