// The keys of Anteport, for anteport.go beside it: kept, and found by their ids.

package anteport

import (
	"crypto/ecdsa"
	"errors"
	"log"
	"sync"
	"time"
)

const (
	fresh = 5 * time.Minute  // for so long nobody asks again
	pause = 10 * time.Second // between two questions, whatever is wanted
	last  = 20 * time.Minute // after which what could not be renewed counts no more
)

// ErrUnavailable says that there are no keys to verify with, and nothing about who asks, who may come again.
var ErrUnavailable = errors.New("the keys cannot be had")

type keySet struct {
	asking     sync.Mutex // held while somebody asks
	lock       sync.Mutex // for what is below
	keys       map[string]*ecdsa.PublicKey
	asked, got time.Time
}

// find has those wait for the answer who ask, and who have no key without it.
func (s *keySet) find(source, kid string) (*ecdsa.PublicKey, error) {
	if key, isDue := s.look(kid); isDue || key == nil {
		s.asking.Lock()
		if _, isDue := s.look(kid); isDue {
			s.ask(source)
		}
		s.asking.Unlock()
	}
	key, _ := s.look(kid)
	s.lock.Lock()
	defer s.lock.Unlock()
	if key == nil && s.got.Before(s.asked) {
		return nil, ErrUnavailable
	}
	if key == nil {
		return nil, errRefused
	}
	return key, nil
}

// look gives the key that is kept, and whether it is time to ask.
func (s *keySet) look(kid string) (key *ecdsa.PublicKey, isDue bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if time.Since(s.got) < last {
		key = s.keys[kid]
	}
	return key, time.Since(s.asked) > pause && (time.Since(s.got) > fresh || key == nil)
}

// ask changes nothing if the keys cannot be read: one bad answer turns nobody away.
func (s *keySet) ask(source string) {
	s.lock.Lock()
	s.asked = time.Now()
	s.lock.Unlock()
	keys, err := read(source)
	if err != nil {
		log.Printf("anteport: no keys from %s: %v", source, err)
		return
	}
	s.lock.Lock()
	s.keys, s.got = keys, time.Now()
	s.lock.Unlock()
}
