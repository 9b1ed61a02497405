import { holds } from './checks.mjs';
import { MAKES, TIDIES, envoy } from './envoy.mjs';

holds({
  name: 'envoy',
  description: 'path',
  tidies: TIDIES,
  makes: MAKES,
  http2: true,
  renews: true,
  start: envoy('envoy.yaml'),
});
