// Package anteport says who is asking: it verifies the assertion that Anteport sends with each request of a member.
// Standard library only, Go 1.19 or later. Four files: this one, keys.go, read.go and handler.go.
//
//	verifier := &anteport.Verifier{Issuer: "https://members.example.org", Audience: "https://members.example.org",
//		Keys: "https://members.example.org/.auth/jwks.json"} // or file:///…
//	http.ListenAndServe("127.0.0.1:3000", verifier.Handler(portal))
//	anteport.Claims(request)["sub"] // says who it is
package anteport

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
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
	kept                   keySet
}

var errRefused = errors.New("not one assertion, by a key of Anteport, for this portal, about somebody, at this time")

// Verify goes from the values of the header to the member's claims.
func (v *Verifier) Verify(values []string, now time.Time) (map[string]any, error) {
	parts := strings.Split(strings.Join(values, ","), ".")
	if len(values) != 1 || len(values[0]) > largest || len(parts) != 3 {
		return nil, errRefused
	}
	header, claims, signature := object(parts[0]), object(parts[1]), bytes(parts[2])
	kid, _ := header["kid"].(string)
	_, isCritical := header["crit"]
	// The algorithm is ES256, whatever the token says.
	if header["alg"] != "ES256" || isCritical || kid == "" || len(signature) != 64 {
		return nil, errRefused
	}
	key, err := v.kept.find(v.Keys, kid)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	isSigned := ecdsa.Verify(key, digest[:], number(signature[:32]), number(signature[32:]))
	subject, _ := claims["sub"].(string)
	isForUs := claims["iss"] == v.Issuer && claims["aud"] == v.Audience
	if !isSigned || !isForUs || subject == "" || !isTimely(claims, float64(now.Unix())) {
		return nil, errRefused
	}
	return claims, nil
}

func isTimely(claims map[string]any, now float64) bool {
	expires, _ := claims["exp"].(float64) // without it, it has ended long ago
	issued, hasIssued := claims["iat"].(float64)
	begins, isNumber := claims["nbf"].(float64)
	_, hasBegins := claims["nbf"]
	return now-leeway < expires && expires <= now+longest && hasIssued && issued <= now+leeway &&
		hasBegins == isNumber && begins <= now+leeway
}

func object(part string) (value map[string]any) {
	if text := bytes(part); !utf8.Valid(text) || json.Unmarshal(text, &value) != nil {
		return nil
	}
	return value
}
