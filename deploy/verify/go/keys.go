// The keys of Anteport, for anteport.go beside it: fetched and kept.

package anteport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// jwk is a key as it is published.
type jwk struct{ Kid, Alg, Kty, Crv, X, Y string }

// keySet has the keys of Anteport, fetched and kept.
type keySet struct {
	lock  sync.Mutex
	keys  map[string]*ecdsa.PublicKey
	asked time.Time
}

// find keeps the key set for five minutes; an unknown key id asks again, at most every ten seconds.
func (s *keySet) find(source, kid string) (*ecdsa.PublicKey, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var err error
	if age := time.Since(s.asked); age > 5*time.Minute || s.keys[kid] == nil && age > 10*time.Second {
		s.asked = time.Now()
		s.keys, err = read(source) // What cannot be read is empty: without keys everybody is refused.
	}
	if s.keys[kid] == nil && err == nil {
		err = errRefused
	}
	return s.keys[kid], err
}

func read(source string) (map[string]*ecdsa.PublicKey, error) {
	files := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	files.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	answer, err := (&http.Client{Timeout: 5 * time.Second, Transport: files}).Get(source)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var set struct{ Keys []jwk }
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, key := range set.Keys {
		if key == (jwk{key.Kid, "ES256", "EC", "P-256", key.X, key.Y}) {
			keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(bytes(key.X)), Y: number(bytes(key.Y))}
		}
	}
	return keys, nil
}

// Strict base64url, without padding, line ends or bits left over; else nothing.
func bytes(part string) []byte {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") {
		return nil
	}
	return data
}

func number(data []byte) *big.Int { return new(big.Int).SetBytes(data) }
