// Package anteport says who is asking: it verifies the assertion that Anteport sends with each request of a member.
// Standard library only, Go 1.19 or later.
//
//	verifier := &anteport.Verifier{Issuer: "https://members.example.org", Audience: "https://members.example.org",
//		Keys: "http://127.0.0.1:8080/.auth/jwks.json"} // or the path of a file
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
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
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
func (v *Verifier) Verify(values []string, now time.Time) (claims map[string]any, err error) {
	parts := strings.Split(strings.Join(values, ","), ".")
	if len(values) != 1 || len(values[0]) > largest || len(parts) != 3 {
		return nil, errRefused
	}
	var header map[string]any
	signature, err := bytes(parts[2])
	for index, into := range []*map[string]any{&header, &claims} {
		var text []byte
		if err == nil {
			text, err = bytes(parts[index])
		}
		if err == nil && utf8.Valid(text) {
			err = json.Unmarshal(text, into)
		}
	}
	kid, _ := header["kid"].(string)
	// The algorithm is ES256, whatever the token says.
	if _, critical := header["crit"]; err != nil || critical || header["alg"] != "ES256" || kid == "" {
		return nil, errRefused
	}
	key, err := v.find(kid)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(signature) != 64 || !ecdsa.Verify(key, digest[:], number(signature[:32]), number(signature[32:])) {
		return nil, errRefused
	}
	subject, _ := claims["sub"].(string)
	expires, _ := claims["exp"].(float64)
	issued, hasIssued := claims["iat"].(float64)
	begins, isNumber := claims["nbf"].(float64)
	_, hasBegins := claims["nbf"]
	at := float64(now.Unix())
	if claims["iss"] != v.Issuer || claims["aud"] != v.Audience || subject == "" || !hasIssued || hasBegins != isNumber ||
		expires <= at-leeway || expires > at+longest || issued > at+leeway || begins > at+leeway {
		return nil, errRefused
	}
	return claims, nil
}

// Strict base64url: no padding, no line ends, no bits left over.
func bytes(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, errRefused
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}

func number(data []byte) *big.Int { return new(big.Int).SetBytes(data) }

// find keeps the key set for five minutes; an unknown key id asks again, at most every ten seconds.
func (v *Verifier) find(kid string) (*ecdsa.PublicKey, error) {
	v.lock.Lock()
	defer v.lock.Unlock()
	key := v.look(kid)
	if age := time.Since(v.asked); age > 5*time.Minute || key == nil && age > 10*time.Second {
		// What cannot be read is empty: without keys everybody is refused.
		v.keys, v.asked = nil, time.Now()
		var set struct{ Keys []jwk }
		text, err := read(v.Keys)
		if err == nil {
			err = json.Unmarshal(text, &set)
		}
		if err != nil {
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
		if x, y := key.X, key.Y; key == (jwk{kid, "ES256", "EC", "P-256", x, y}) {
			across, _ := bytes(x)
			up, _ := bytes(y)
			return &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(across), Y: number(up)}
		}
	}
	return nil
}

func read(source string) ([]byte, error) {
	if !strings.HasPrefix(source, "http") {
		return os.ReadFile(source)
	}
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Get(source)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
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
