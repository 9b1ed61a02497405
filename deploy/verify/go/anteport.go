// Package anteport says who is asking: it verifies the assertion that Anteport sends with each request of a member.
// Standard library only, Go 1.19 or later.
//
//	verifier := &anteport.Verifier{Issuer: "https://members.example.org", Audience: "https://members.example.org",
//		Keys: "http://127.0.0.1:8080/.auth/jwks.json"} // or file:///…
//	http.ListenAndServe("127.0.0.1:3000", verifier.Handler(portal))
//	anteport.Claims(request)["sub"] // says who it is
package anteport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	leeway  = 30  // seconds that two clocks may differ
	longest = 300 // an assertion lives for a minute: one that claims more is not ours
	largest = 8192
)

// Verifier is set up once and used by many at a time.
type Verifier struct {
	Issuer, Audience, Keys string

	lock  sync.Mutex
	keys  []jwk
	asked time.Time
}

type jwk struct{ Kid, Alg, Kty, Crv, X, Y string }

var errRefused = errors.New("not one assertion, by a key of Anteport, for this portal, about somebody, at this time")

// Verify goes from the values of the header to the member's claims.
func (v *Verifier) Verify(values []string, now time.Time) (map[string]any, error) {
	token := strings.Join(values, ",")
	parts := strings.Split(token, ".")
	if len(values) != 1 || len(token) > largest || len(parts) != 3 || strings.ContainsAny(token, "\r\n") {
		return nil, errRefused
	}
	header, claims, signature := object(parts[0]), object(parts[1]), bytes(parts[2])
	kid, _ := header["kid"].(string)
	_, critical := header["crit"]
	// The algorithm is ES256, whatever the token says.
	if header["alg"] != "ES256" || critical || kid == "" || len(signature) != 64 {
		return nil, errRefused
	}
	key, err := v.find(kid)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	subject, _ := claims["sub"].(string)
	expires, _ := claims["exp"].(float64)
	issued, hasIssued := claims["iat"].(float64)
	begins, isNumber := claims["nbf"].(float64)
	_, hasBegins := claims["nbf"]
	at := float64(now.Unix())
	if !ecdsa.Verify(key, digest[:], number(signature[:32]), number(signature[32:])) ||
		claims["iss"] != v.Issuer || claims["aud"] != v.Audience || subject == "" ||
		expires <= at-leeway || expires > at+longest || // without exp it has ended long ago
		!hasIssued || issued > at+leeway || hasBegins != isNumber || begins > at+leeway {
		return nil, errRefused
	}
	return claims, nil
}

// Strict base64url, without padding or bits left over; else nothing.
func bytes(part string) []byte {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil
	}
	return data
}

func number(data []byte) *big.Int { return new(big.Int).SetBytes(data) }

func object(part string) (value map[string]any) {
	if text := bytes(part); !utf8.Valid(text) || json.Unmarshal(text, &value) != nil {
		return nil
	}
	return value
}

// find keeps the key set for five minutes; an unknown key id asks again, at most every ten seconds.
func (v *Verifier) find(kid string) (*ecdsa.PublicKey, error) {
	v.lock.Lock()
	defer v.lock.Unlock()
	key := v.look(kid)
	if age := time.Since(v.asked); age > 5*time.Minute || key == nil && age > 10*time.Second {
		v.keys, v.asked = nil, time.Now() // What cannot be read is empty: without keys everybody is refused.
		files := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
		files.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
		answer, err := (&http.Client{Timeout: 5 * time.Second, Transport: files}).Get(v.Keys)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		var set struct{ Keys []jwk }
		if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
			return nil, err
		}
		v.keys = set.Keys
		key = v.look(kid)
	}
	if key == nil {
		return nil, errRefused
	}
	return key, nil
}

func (v *Verifier) look(kid string) *ecdsa.PublicKey {
	for _, key := range v.keys {
		if key == (jwk{kid, "ES256", "EC", "P-256", key.X, key.Y}) {
			return &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(bytes(key.X)), Y: number(bytes(key.Y))}
		}
	}
	return nil
}

type place struct{}

// Claims of the member who asks, in a request that has passed Handler.
func Claims(request *http.Request) map[string]any {
	claims, _ := request.Context().Value(place{}).(map[string]any)
	return claims
}

// Handler lets nobody further who cannot be verified.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		claims, err := v.Verify(request.Header.Values("X-Anteport-Assertion"), time.Now())
		if err != nil {
			log.Printf("anteport: refused: %v", err)
			answer.Header().Set("Cache-Control", "no-store")
			http.Error(answer, "Please sign in: this request does not say who you are.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(answer, request.WithContext(context.WithValue(request.Context(), place{}, claims)))
	})
}
