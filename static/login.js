// Signing in. The password goes to the server and is kept nowhere else.

import { fieldOf, go, startGate } from "./gate.js";

startGate({
  path: "/login",
  begin({ asks, owner, setup_code: code }) {
    if (!asks) return go();
    if (!owner && code) return go("/setup");
    if (!owner) return "There is no owner yet. Make one on the machine itself: vidprod owner set-password";
    return "";
  },
  refused({ code }) {
    if (code !== "code_needed" && code !== "wrong_code") return;
    fieldOf("code").closest(".field").hidden = false;
    fieldOf("code").focus();
  },
  done: () => go(),
});
