// The smallest portal in Go. `portal vectors FILE KEYS` judges every case; `portal serve PORT ISSUER AUDIENCE KEYS`
// answers who is asking.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"portal/anteport"
)

// A plain header as a list.
func plain(header string) (list []string) {
	for _, part := range strings.Split(header, ",") {
		text, err := url.PathUnescape(part)
		if err != nil {
			log.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}

func vectors(file, keys string) {
	var given struct {
		Now                      int64
		Issuer, Audience, Header string
		Cases                    []struct {
			Name, Algorithm string
			Headers         [][2]string
		}
		Plain []struct{ Header string }
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &given)
	}
	if err != nil {
		log.Fatal(err)
	}
	verifier := &anteport.Verifier{Issuer: given.Issuer, Audience: given.Audience, Keys: keys}
	results := map[string]any{}
	for _, one := range given.Cases {
		header := http.Header{}
		for _, line := range one.Headers {
			header.Add(line[0], line[1])
		}
		if one.Algorithm != "ES256" {
			continue
		}
		claims, err := verifier.Verify(header.Values(given.Header), time.Unix(given.Now, 0))
		results[one.Name] = claims
		if err != nil {
			results[one.Name] = nil
		}
	}
	lists := [][]string{}
	for _, one := range given.Plain {
		lists = append(lists, plain(one.Header))
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"results": results, "plain": lists})
}

func serve(port, issuer, audience, keys string) {
	verifier := &anteport.Verifier{Issuer: issuer, Audience: audience, Keys: keys}
	portal := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		told := map[string]any{"sub": anteport.Claims(request)["sub"], "assertion": request.Header.Get("X-Anteport-Assertion")}
		json.NewEncoder(answer).Encode(told)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, verifier.Handler(portal)))
}

func main() {
	if os.Args[1] == "vectors" {
		vectors(os.Args[2], os.Args[3])
	} else {
		serve(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	}
}
