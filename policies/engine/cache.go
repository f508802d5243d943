package engine

type caches struct{}
