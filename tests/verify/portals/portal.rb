# frozen_string_literal: true

# The smallest portal on Rack. `portal.rb vectors FILE KEYS` judges every case; `portal.rb serve PORT ISSUER AUDIENCE
# KEYS` answers who is asking.
require 'json'
require 'rack'
require 'uri'
require_relative '../../../deploy/verify/ruby/anteport'

# A plain header as a list.
def plain(header)
  header.split(',', -1).map { |part| URI::DEFAULT_PARSER.unescape(part).force_encoding('UTF-8') }
end

def judged(verifier, value, now)
  verifier.verify(value, now)
rescue StandardError
  nil # It is what most of them are there for.
end

def vectors(file, keys)
  given = JSON.parse(File.read(file, encoding: 'UTF-8'))
  verifier = Anteport.new(nil, issuer: given['issuer'], audience: given['audience'], keys: keys)
  results = given['cases'].select { |one| one['algorithm'] == 'ES256' }.to_h do |one|
    values = one['headers'].select { |name, _| name.casecmp?(given['header']) }.map(&:last)
    # As Rack's servers do it.
    value = values.join(',') unless values.empty?
    [one['name'], judged(verifier, value, given['now'])]
  end
  puts JSON.generate('results' => results, 'plain' => given['plain'].map { |one| plain(one['header']) })
end

def serve(port, issuer, audience, keys)
  portal = lambda do |env|
    told = { sub: env['anteport']['sub'], assertion: env['HTTP_X_ANTEPORT_ASSERTION'] }
    [200, { 'Content-Type' => 'application/json' }, [JSON.generate(told)]]
  end
  gate = Anteport.new(portal, issuer: issuer, audience: audience, keys: keys)
  Rack::Handler::WEBrick.run(gate, Host: '127.0.0.1', Port: Integer(port), AccessLog: [])
end

send(*ARGV)
