import { holds } from './checks.mjs';
import { MAKES, TIDIES, envoy } from './envoy.mjs';

holds({
  name: 'envoy-grpc',
  asks: (world) => `grpc: { address: "127.0.0.1:${world.grpc}" }`,
  tidies: TIDIES,
  makes: MAKES,
  http2: true,
  renews: true,
  start: envoy('envoy-grpc.yaml', (world) => [['port_value: 9191', `port_value: ${world.grpc}`]]),
});
