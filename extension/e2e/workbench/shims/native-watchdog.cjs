// Stands in for the native module that ends an extension host whose parent is gone, so that nothing has to be compiled.
let timer;

exports.start = (pid) => {
  timer ??= setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch {
      process.exit(87);
    }
  }, 1000);
  timer.unref();
};

exports.exit = (code) => process.exit(code || 0);
