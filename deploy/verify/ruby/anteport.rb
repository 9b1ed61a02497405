# frozen_string_literal: true

# Who is asking, for Rack (Rails, Sinatra, Redmine): verifies the assertion that Anteport sends with each request of a
# member. Standard library only, Ruby 2.7 or later.
#
#   require_relative 'anteport'
#   use Anteport, issuer: 'https://members.example.org', audience: 'https://members.example.org',
#                 keys: 'http://127.0.0.1:8080/.auth/jwks.json'        # or the path of a file
#   env['anteport']['sub']                                             # says who it is
#
# In Rails: config.middleware.insert_before 0, Anteport, issuer: …
require 'json'
require 'net/http'
require 'openssl'

class Anteport
  LEEWAY = 30 # seconds that two clocks may differ
  LONGEST = 300 # an assertion lives for a minute: one that claims more is not ours
  LARGEST = 8192
  FORM = /\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\z/.freeze
  HEADERS = { 'content-type' => 'text/plain; charset=utf-8', 'cache-control' => 'no-store' }.freeze
  SENTENCE = "Please sign in: this request does not say who you are.\n"

  def initialize(app, issuer:, audience:, keys:)
    @app, @issuer, @audience, @source = app, issuer, audience, keys
    @keys, @asked, @lock = [], nil, Mutex.new
  end

  # The middleware: `env['anteport']` has the claims, and nobody comes further without.
  def call(env)
    begin
      env['anteport'] = verify(env['HTTP_X_ANTEPORT_ASSERTION'])
    rescue StandardError => e # Whatever it was: who cannot be verified is not let through.
      env['rack.errors']&.puts("anteport: refused: #{e.message.inspect}")
      return [401, HEADERS.dup, [SENTENCE]]
    end
    @app.call(env)
  end

  # From the header (Rack's servers have joined what came doubled by a comma) to the member's claims, or an error.
  def verify(value, now = Time.now.to_f)
    raise 'one assertion of three parts is needed' unless value && value.bytesize <= LARGEST && FORM.match?(value)

    head, body, last = value.split('.')
    header, claims, signature = object(head), object(body), bytes(last)
    # The algorithm is ES256, whatever the token says.
    raise 'another algorithm' unless header['alg'] == 'ES256' && !header.key?('crit')
    raise 'no key of Anteport signed it' unless signed?(find(header['kid']), "#{head}.#{body}", signature)
    raise 'for another portal' unless claims['iss'] == @issuer && claims['aud'] == @audience
    raise 'about nobody' unless claims['sub'].is_a?(String) && !claims['sub'].empty?

    expires, issued, from = claims['exp'], claims['iat'], claims.fetch('nbf', 0)
    raise 'a time is no number' unless [expires, issued, from].all?(Numeric)
    raise 'expired' unless now - LEEWAY < expires && expires <= now + LONGEST
    raise 'from the future' unless issued <= now + LEEWAY && from <= now + LEEWAY

    claims
  end

  private

  # Strict base64url: no padding, no white space, no bits left over.
  def bytes(part)
    part.tr('-_', '+/').ljust(part.size + -part.size % 4, '=').unpack1('m0')
  end

  def object(part)
    text = bytes(part).force_encoding(Encoding::UTF_8)
    value = text.valid_encoding? && JSON.parse(text)
    value.is_a?(Hash) ? value : raise('a part is no JSON object')
  end

  # JWS has r and s side by side, OpenSSL wants them in DER; and a public key as in RFC 5480.
  def signed?(jwk, text, signature)
    der = OpenSSL::ASN1
    halves = [signature[0, 32], signature[32..]].map { |half| der::Integer(OpenSSL::BN.new(half, 2)) }
    kind = der::Sequence([der::ObjectId('id-ecPublicKey'), der::ObjectId('prime256v1')])
    point = der::BitString("\x04".b + bytes(jwk['x']) + bytes(jwk['y']))
    key = OpenSSL::PKey.read(der::Sequence([kind, point]).to_der)
    signature.bytesize == 64 && key.verify('SHA256', der::Sequence(halves).to_der, text)
  end

  # The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds.
  def find(kid)
    fits = ->(key) { key.values_at('kid', 'alg', 'kty', 'crv') == [kid.to_str, 'ES256', 'EC', 'P-256'] }
    @lock.synchronize do
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      if @asked.nil? || now - @asked > (@keys.any?(&fits) ? 300 : 10)
        # What cannot be read is empty: without keys everybody is refused.
        @keys, @asked = [], now
        set = JSON.parse(@source.match?(/\Ahttps?:/) ? fetch(URI(@source)) : File.read(@source))
        @keys = set['keys'].grep(Hash)
      end
      @keys.find(&fits) || raise('no such key')
    end
  end

  def fetch(uri)
    patience = { open_timeout: 5, read_timeout: 5, use_ssl: uri.scheme == 'https' }
    Net::HTTP.start(uri.host, uri.port, patience) { |http| http.get(uri.request_uri).body }
  end
end
