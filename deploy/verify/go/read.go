// How the keys of Anteport are fetched and read, for keys.go beside it.

package anteport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// jwk is a key as it is published.
type jwk struct{ Kid, Alg, Kty, Crv, X, Y string }

// The keys come from where they are said to be: no proxy of the environment has a part in it, and no redirect.
func read(source string) (map[string]*ecdsa.PublicKey, error) {
	if !safe.MatchString(source) {
		return nil, errUnsafe
	}
	way := &http.Transport{DisableKeepAlives: true}
	way.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request, err := http.NewRequest(http.MethodGet, source, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Cache-Control", "no-cache") // A cache on the way may have a key that was withdrawn.
	answer, err := (&http.Client{Timeout: 5 * time.Second, Transport: way, CheckRedirect: stay}).Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, text := range set.Keys {
		var key jwk
		isKey := json.Unmarshal(text, &key) == nil
		if isKey && key == (jwk{key.Kid, "ES256", "EC", "P-256", key.X, key.Y}) {
			keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(bytes(key.X)), Y: number(bytes(key.Y))}
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("none of them is for ES256")
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
