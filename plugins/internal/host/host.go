package host

import (
	"errors"
	"math"

	"keyward/plugins/filter"
)

// Run registers the plugin that newPlugin makes; call it from init, the only
// code of a plugin that a host runs by itself. refuse is the reply to a request
// whose handling panicked.
func Run(newPlugin func(filter.Host) filter.Plugin, refuse func() filter.Reply) {
	vm = virtualMachine{new: newPlugin, refuse: refuse, contexts: map[uint32]*context{}, good: map[string]*instance{}}
}

// vm is the one in which this code runs.
var vm virtualMachine

type virtualMachine struct {
	new      func(filter.Host) filter.Plugin
	refuse   func() filter.Reply
	contexts map[uint32]*context
	// good is the last plugin with a usable configuration, by root ID: hosts
	// make a new plugin context in the same VM for each new configuration.
	good    map[string]*instance
	streams streams
}

// An instance is a plugin with the contexts that it serves: more than one where
// a newer configuration was refused.
type instance struct {
	plugin   filter.Plugin // guarded, so it is filter.Background
	machine  *machine
	contexts int
}

func (i *instance) background() filter.Background { return i.plugin.(filter.Background) }

// A context is one configuration of a plugin, as the host knows it by its number.
type context struct {
	id uint32
	*instance
}

func (v *virtualMachine) newContext(id uint32) {
	m := &machine{root: id}
	v.contexts[id] = &context{id: id, instance: &instance{filter.Guard(v.new(m), v.refuse), m, 1}}
}

func (v *virtualMachine) newStream(id uint32, c *context) {
	s := &stream{id: id, machine: c.machine}
	s.handler = c.plugin.NewStream(s)
	v.streams.put(s)
}

// start never fails: hosts answer a failure by dropping the listener.
func (c *context) start() {
	root := rootID()
	good := vm.good[root]
	if err := c.configure(); err != nil {
		c.machine.Log(filter.Error, "configuration refused, the last good one stays in force: "+err.Error())
		if good != nil && good != c.instance {
			c.instance = good
			c.contexts++
			c.machine.root = c.id
			_ = c.machine.SetTick(c.machine.period) // the older context's ticks end with it
		}
		return
	}
	c.machine.Log(filter.Info, "configuration in force")
	if good != nil && good != c.instance {
		good.background().Release()
	}
	vm.good[root] = c.instance
}

func (c *context) configure() (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic while reading the configuration")
		}
	}()
	config, err := buffer(pluginBytes, math.MaxInt32, nil)
	if err != nil {
		return errors.New("no configuration")
	}
	return c.plugin.Configure(config)
}

// rootID tells apart the plugins that share a VM; "" where the host has no name.
func rootID() string {
	b, err := property("plugin_root_id", nil)
	if err != nil {
		return ""
	}
	return string(b)
}

// tick is called for each context: the newest one's count.
func (c *context) tick() {
	if c.machine.root == c.id {
		c.background().Tick()
	}
}

func (c *context) end() {
	if c.contexts--; c.contexts == 0 {
		c.background().Release()
	}
}
