// cluster.js: server.js in a cluster that replaces workers. node cluster.js PORT HOST rr|none WORKERS
const cluster = require('cluster'), path = require('path');
const [port, host, policy, workers] = process.argv.slice(2);
cluster.schedulingPolicy = policy === 'rr' ? cluster.SCHED_RR : cluster.SCHED_NONE;
cluster.setupPrimary = cluster.setupPrimary || cluster.setupMaster; // before node 16
cluster.setupPrimary({ exec: path.join(__dirname, 'server.js'), args: [port, host] });
cluster.on('listening', () => console.log('serving'));
cluster.on('exit', () => cluster.fork());
for (let i = 0; i < Number(workers); i++) cluster.fork();
