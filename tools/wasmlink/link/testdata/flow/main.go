// Command flow stops its goroutines everywhere: in nested loops, in deferred
// calls, after panics, while stacks grow. What it prints is always the same.
package main

import (
	"fmt"
	"hash/fnv"
	"runtime"
	"slices"
	"strings"
	"sync"
)

var sum = fnv.New64a()

func note(v ...any) { fmt.Fprintln(sum, v...) }

// loops has every way out of, into and through a loop.
func loops(yield func(), n int) (total int) {
outer:
	for i := range n {
		for j := 0; ; j++ {
			switch {
			case j == i:
				continue outer
			case i*j > 40:
				break outer
			case j%3 == 1:
				yield()
			case j%5 == 2:
				for k := range j {
					if k == 3 {
						break
					}
					yield()
					total += k
				}
			default:
				total += i ^ j
			}
		}
	}
	i := 0
again:
	if i < n {
		i++
		if i%4 == 0 {
			yield()
			goto again
		}
		total += i
		goto again
	}
	return total
}

func recovers(yield func(), n int) (log []string) {
	for i := range n {
		func() {
			defer func() {
				yield()
				log = append(log, fmt.Sprint(i, " ", recover()))
			}()
			defer yield()
			if i%2 == 0 {
				_ = log[i+len(log)]
			}
			yield()
			panic(i)
		}()
	}
	return log
}

func grows(yield func(), n int) int {
	var room [200]int
	for i := range room {
		room[i] = n + i
	}
	if n%7 == 0 {
		yield()
	}
	if n == 0 {
		return room[199]
	}
	return grows(yield, n-1) + room[n%200]
}

type tree struct {
	left, right *tree
	key         int
}

func (t *tree) with(key int) *tree {
	switch {
	case t == nil:
		return &tree{key: key}
	case key < t.key:
		t.left = t.left.with(key)
	case key > t.key:
		t.right = t.right.with(key)
	}
	return t
}

func (t *tree) all(yield func(int) bool) bool {
	return t == nil || t.left.all(yield) && yield(t.key) && t.right.all(yield)
}

func main() {
	const workers = 8
	results := make([]string, workers)
	var group sync.WaitGroup
	lines, done := make(chan string), make(chan int)
	for w := range workers {
		group.Go(func() {
			calls := 0
			yield := func() {
				if calls++; calls%3 != w%3 {
					runtime.Gosched()
				}
			}
			results[w] = fmt.Sprint(loops(yield, 20+w), recovers(yield, 9), grows(yield, 300))
			lines <- strings.Repeat(fmt.Sprint(w), 3)
		})
	}
	go func() {
		got := []string{}
		for len(got) < workers {
			select {
			case l := <-lines:
				got = append(got, l)
			case done <- -1:
			}
		}
		slices.Sort(got)
		note(got)
		done <- len(got)
	}()
	for n := range done {
		if n == workers {
			break
		}
		runtime.Gosched()
	}
	group.Wait()
	note(results)
	var t *tree
	for i := range 2000 {
		t = t.with(i * 7919 % 2003)
		if i%500 == 0 {
			runtime.GC()
		}
	}
	for key := range t.keys() {
		if key == 1500 {
			break
		}
		note(key)
	}
	words := strings.Fields(strings.Repeat("the quick brown fox jumps over a lazy dog ", 40))
	slices.SortStableFunc(words, func(a, b string) int { return strings.Compare(a[1:], b[1:]) })
	note(words)
	fmt.Printf("%x\n", sum.Sum64())
}

func (t *tree) keys() func(func(int) bool) {
	return func(yield func(int) bool) { t.all(yield) }
}
