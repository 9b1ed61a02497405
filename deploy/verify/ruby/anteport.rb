# frozen_string_literal: true

# Who is asking, for Rack (Rails, Sinatra, Redmine): verifies the assertion that Anteport sends with each request of a
# member. Standard library only, Ruby 2.7 or later. Two files: this one and anteport_keys.rb.
#
#   require_relative 'anteport'
#   use Anteport, issuer: 'https://members.example.org', audience: 'https://members.example.org',
#                 keys: 'https://members.example.org/.auth/jwks.json'  # or the path of a file
#   env['anteport']['sub']                                             # says who it is
#
# In Rails: config.middleware.insert_before 0, Anteport, issuer: …
require 'json'
require 'openssl'
require_relative 'anteport_keys'

class Anteport
  LEEWAY = 30 # seconds that two clocks may differ
  LONGEST = 300 # an assertion lives for a minute: one that claims more is not ours
  LARGEST = 8192
  SENTENCE = "Please sign in: this request does not say who you are.\n"
  LATER = "Please try again in a moment: who you are cannot be verified now.\n"
  HEADERS = { 'content-type' => 'text/plain; charset=utf-8', 'cache-control' => 'no-store' }.freeze
  FORM = /\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\z/.freeze
  # What precedes x and y in a public key on P-256 (RFC 5480).
  P256 = ['3059301306072a8648ce3d020106082a8648ce3d03010703420004'].pack('H*').freeze

  def initialize(app, issuer:, audience:, keys:)
    @app, @issuer, @audience, @keys = app, issuer, audience, Keys.new(keys)
  end

  # The middleware: `env['anteport']` has the claims, and nobody comes further without.
  def call(env)
    env['anteport'] = verify(env['HTTP_X_ANTEPORT_ASSERTION'])
  rescue StandardError => e # Whatever it was: who cannot be verified is not let through.
    env['rack.errors']&.puts("anteport: refused: #{e.message.inspect}")
    return [401, HEADERS.dup, [SENTENCE]] unless e.is_a?(Unavailable)

    [503, { **HEADERS, 'retry-after' => '10' }, [LATER]]
  else
    @app.call(env)
  end

  # From the header (Rack's servers have joined what came doubled by a comma) to the member's claims, or an error.
  def verify(value, now = Time.now.to_f)
    raise 'one assertion of three parts is needed' unless value && value.bytesize <= LARGEST && FORM.match?(value)

    head, body, last = value.split('.')
    header, claims = object(head), object(body)
    # The algorithm is ES256, whatever the token says.
    raise 'another algorithm' unless header['alg'] == 'ES256' && !header.key?('crit')
    raise 'no key of Anteport signed it' unless signed?(@keys.find(header['kid']), "#{head}.#{body}", bytes(last))
    raise 'for another portal' unless claims['iss'] == @issuer && claims['aud'] == @audience
    raise 'about nobody' unless claims['sub'].is_a?(String) && !claims['sub'].empty?

    # What is no number cannot be compared, which is an error too.
    raise 'expired' unless now - LEEWAY < claims['exp'] && claims['exp'] <= now + LONGEST
    raise 'from the future' unless claims['iat'] <= now + LEEWAY && claims.fetch('nbf', 0) <= now + LEEWAY

    claims
  end

  private

  # Strict base64url: no padding, no white space, no bits left over.
  def bytes(part)
    part.tr('-_', '+/').ljust(part.size + -part.size % 4, '=').unpack1('m0')
  end

  # A JSON object in UTF-8; anything else is an error.
  def object(part)
    JSON.parse(bytes(part).force_encoding('UTF-8').scrub { raise 'a part is not UTF-8' }).to_hash
  end

  # JWS has r and s side by side, OpenSSL wants them in DER.
  def signed?(jwk, text, signature)
    key = OpenSSL::PKey.read(P256 + bytes(jwk['x']) + bytes(jwk['y']))
    halves = [signature[0, 32], signature[32..]].map { |half| OpenSSL::ASN1::Integer(OpenSSL::BN.new(half, 2)) }
    signature.bytesize == 64 && key.verify('SHA256', OpenSSL::ASN1::Sequence(halves).to_der, text)
  end
end
