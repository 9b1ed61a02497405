// The place of the verifier before a portal on net/http, for anteport.go beside it.

package anteport

import (
	"context"
	"errors"
	"log"
	"net/http"
	"regexp"
	"time"
)

const (
	sentence = "Please sign in: this request does not say who you are."
	later    = "Please try again in a moment: who you are cannot be verified now."
)

// Whoever can change the keys on their way is everybody: they come over TLS, from this machine, or out of a file.
var safe = regexp.MustCompile(`^(https://|http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?/|file:///)`)

var errUnsafe = errors.New("keys come over https, from this machine or out of a file alone")

// place is where the claims are in a request's context.
type place struct{}

// Claims of the member who asks, in a request that has passed Handler.
func Claims(request *http.Request) map[string]any {
	claims, _ := request.Context().Value(place{}).(map[string]any)
	return claims
}

// Handler lets nobody further who cannot be verified. It panics if the keys are to come from where anybody can change
// them.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	if !safe.MatchString(v.Keys) {
		panic(errUnsafe)
	}
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		claims, err := v.Verify(request.Header.Values("X-Anteport-Assertion"), time.Now())
		if err != nil {
			log.Printf("anteport: refused: %v", err)
			answer.Header().Set("Cache-Control", "no-store")
			if errors.Is(err, ErrUnavailable) {
				answer.Header().Set("Retry-After", "10")
				http.Error(answer, later, http.StatusServiceUnavailable)
			} else {
				http.Error(answer, sentence, http.StatusUnauthorized)
			}
			return
		}
		next.ServeHTTP(answer, request.WithContext(context.WithValue(request.Context(), place{}, claims)))
	})
}
