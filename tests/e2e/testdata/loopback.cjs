// Preloaded into a server that has no option for its address: whatever it
// listens on becomes the loopback.
const net = require('node:net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === 'object' && port !== null) {
    return listen.call(this, { ...port, host: '127.0.0.1' }, ...rest);
  }
  if (typeof rest[0] === 'string') rest.shift();
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...rest.filter((a) => typeof a === 'function'));
};
