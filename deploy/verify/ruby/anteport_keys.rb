# frozen_string_literal: true

# The keys of Anteport, for anteport.rb beside it: fetched and kept.
require 'json'
require 'open-uri'

class Anteport
  # There are no keys to verify with. It says nothing about who asks, who may come again.
  class Unavailable < StandardError; end

  class Keys
    FRESH = 300 # seconds for which nobody asks again
    PAUSE = 10 # between two questions, whatever is wanted
    LAST = 1200 # after these, what could not be renewed counts no more
    # Whoever can change the keys on their way is everybody: they come over TLS, from this machine, or out of a file.
    SAFE = %r{\A(https://|http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?/|(?![a-zA-Z][a-zA-Z\d+.-]+:))}.freeze
    # The keys come from where they are said to be: no proxy of the environment has a part in it, and no redirect.
    WAY = { open_timeout: 5, read_timeout: 5, redirect: false, proxy: false,
            'Cache-Control' => 'no-cache' }.freeze # A cache on the way may have a key that was withdrawn.

    def initialize(source)
      raise ArgumentError, 'keys come over https, from this machine or out of a file alone' unless SAFE.match?(source)

      @source, @keys, @asked, @got, @lock = source, {}, -Float::INFINITY, -Float::INFINITY, Mutex.new
    end

    # The key of that id. Who has to wait for the answer is who asks, and who has no key without it.
    def find(kid)
      wanted = [kid.to_str, 'ES256', 'EC', 'P-256']
      @lock.synchronize { ask if due?(wanted) } if due?(wanted) || !kept(wanted)
      key = kept(wanted)
      raise Unavailable, 'the keys cannot be had' if !key && @got < @asked

      key || raise('no such key')
    end

    private

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    def kept(wanted)
      @keys[wanted] if now - @got < LAST
    end

    def due?(wanted)
      now - @asked > PAUSE && (now - @got > FRESH || !@keys.key?(wanted))
    end

    # What cannot be read changes nothing yet: one bad answer turns nobody away.
    def ask
      @asked = now
      text = @source.match?(/\Ahttps?:/) ? URI(@source).open(WAY, &:read) : File.read(@source)
      keys = JSON.parse(text)['keys'].grep(Hash).to_h { |key| [key.values_at('kid', 'alg', 'kty', 'crv'), key] }
      raise 'none of them is for ES256' unless keys.keys.any? { |_, algorithm| algorithm == 'ES256' }

      @keys, @got = keys, now
    rescue StandardError => e
      warn "anteport: no keys from #{@source}: #{e.message.inspect}"
    end
  end
end
