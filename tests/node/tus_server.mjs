// The reference server of tus, on a free port of this machine, which it prints. Its one argument: a directory for files.
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const datastore = new FileStore({ directory: process.argv[2], expirationPeriodInMilliseconds: 86_400_000 });
const server = new Server({ path: "/files", datastore, maxSize: 10_000_000, relativeLocation: true });
const listening = server.listen(0, "127.0.0.1", () => console.log(listening.address().port));
