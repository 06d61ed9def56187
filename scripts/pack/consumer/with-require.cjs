const client = require('zoom-steward-client');
const { use } = require('./use-client.cjs');

use(client);
