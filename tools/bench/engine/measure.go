package main

import (
	"cmp"
	"slices"
	"time"
)

// A subject is one way to decide, to be measured beside others.
type subject struct {
	name string
	run  func(n int) error // decides n times
	n    int               // decisions of one round

	took []float64 // µs a decision, of each round
}

// measure runs all subjects in turn, round after round, so that what else the
// machine does falls on all alike. Rounds are best shorter than the time slice of
// a scheduler: most of them are then not interrupted.
func measure(subjects []*subject, rounds int, round time.Duration) error {
	const warm = 20 // decisions: the first compile patterns, and say little of the others
	for _, s := range subjects {
		if err := s.run(warm); err != nil {
			return err
		}
		for s.n = 1; ; s.n *= 2 {
			least, err := s.quickest(5) // others interrupt a run now and then
			if err != nil {
				return err
			}
			if least >= round/2 {
				break
			}
		}
	}
	for range rounds {
		for _, s := range subjects {
			start := time.Now()
			if err := s.run(s.n); err != nil {
				return err
			}
			s.took = append(s.took, float64(time.Since(start).Nanoseconds())/float64(s.n)/1e3)
		}
	}
	for _, s := range subjects {
		slices.SortFunc(s.took, cmp.Compare[float64])
	}
	return nil
}

// quickest returns how long the shortest of several rounds takes.
func (s *subject) quickest(of int) (least time.Duration, err error) {
	for i := range of {
		start := time.Now()
		if err := s.run(s.n); err != nil {
			return 0, err
		}
		if took := time.Since(start); i == 0 || took < least {
			least = took
		}
	}
	return least, nil
}

func (s *subject) quantile(q float64) float64 {
	return s.took[int(q*float64(len(s.took)-1)+0.5)]
}

func (s *subject) median() float64 { return s.quantile(0.5) }
