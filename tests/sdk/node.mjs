// Speaks with both Node SDKs as a shop's server would: node node.mjs HOST KEY
import { createRequire } from 'node:module';

const require = createRequire(process.cwd() + '/');
const { Analytics } = require('@segment/analytics-node');
const Rudder = require('@rudderstack/rudder-sdk-node');
const [host, key] = process.argv.slice(2);
const product = { product_id: 'pot', name: 'Copper pot', price: 89.9, quantity: 1 };

function speak(client, who) {
  client.track({ anonymousId: `${who}-visitor`, event: 'Product Viewed', properties: product });
  client.identify({ userId: who, anonymousId: `${who}-visitor`, traits: { email: `${who}@example.com` } });
  client.track({ userId: who, event: 'Product Added', properties: { ...product, cart_id: `${who}-cart` } });
  client.page({ userId: who, name: 'Home' });
}

const segment = new Analytics({ writeKey: key, host, path: '/v1/batch', flushAt: 4 });
segment.on('error', (error) => { console.error(error); process.exitCode = 1; });
speak(segment, 'segment-node');
await segment.closeAndFlush();

const rudder = new (Rudder.default ?? Rudder)(key, { dataPlaneUrl: host, flushAt: 4 });
speak(rudder, 'rudder-node');
await new Promise((resolve) => setTimeout(resolve, 500));
await rudder.flush();
