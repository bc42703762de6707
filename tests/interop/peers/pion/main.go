// pion/ice v2 behind the peer contract. Built in GOPATH mode against Debian's golang-github-pion-ice.v2-dev.
//
// What it lacks: addresses to bind to by name of the contract (an IPFilter does it), TCP as the contract means it.
// Its state Connected means that a pair has been selected: it is connected and completed at the same time.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v2"
)

type line = map[string]interface{}

type options struct {
	controlling, noTrickle, lite, noIPv6, relay, echo bool
	servers                                           []*ice.URL
	bind                                              []net.IP
	timeout                                           time.Duration
}

func usage(problem interface{}) {
	fmt.Fprintln(os.Stderr, "unsupported:", problem)
	os.Exit(2)
}

func parse(args []string) options {
	var o options
	var username, password string
	next := func(i *int) string {
		*i++
		if *i >= len(args) {
			usage("an option without its value")
		}
		return args[*i]
	}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "--controlling":
			o.controlling = true
		case "--controlled":
			o.controlling = false
		case "--stun", "--turn":
			url, err := ice.ParseURL(next(&i))
			if err != nil {
				usage(err)
			}
			o.servers = append(o.servers, url)
		case "--turn-username":
			username = next(&i)
		case "--turn-password":
			password = next(&i)
		case "--policy":
			o.relay = next(&i) == "relay"
		case "--no-trickle":
			o.noTrickle = true
		case "--lite":
			o.lite = true
		case "--bind":
			o.bind = append(o.bind, net.ParseIP(next(&i)))
		case "--no-ipv6":
			o.noIPv6 = true
		case "--echo":
			o.echo = true
		case "--timeout":
			seconds, err := time.ParseDuration(next(&i) + "s")
			if err != nil {
				usage(err)
			}
			o.timeout = seconds
		default:
			usage(args[i])
		}
	}
	for _, url := range o.servers {
		if url.Scheme == ice.SchemeTypeTURN {
			url.Username, url.Password = username, password
		}
	}
	return o
}

func (o options) config() *ice.AgentConfig {
	config := &ice.AgentConfig{
		Urls:             o.servers,
		Lite:             o.lite,
		NetworkTypes:     []ice.NetworkType{ice.NetworkTypeUDP4},
		MulticastDNSMode: ice.MulticastDNSModeDisabled,
	}
	if !o.noIPv6 {
		config.NetworkTypes = append(config.NetworkTypes, ice.NetworkTypeUDP6)
	}
	if o.relay {
		config.CandidateTypes = []ice.CandidateType{ice.CandidateTypeRelay}
	}
	if o.lite {
		config.CandidateTypes = []ice.CandidateType{ice.CandidateTypeHost}
		config.Urls = nil
	}
	if len(o.bind) > 0 {
		config.IPFilter = func(ip net.IP) bool {
			for _, bind := range o.bind {
				if bind.Equal(ip) {
					return true
				}
			}
			return false
		}
	}
	return config
}

type peer struct {
	options
	agent *ice.Agent
	out   sync.Mutex
	since time.Time
	// Candidates that wait for the end of gathering.
	held []line
	// The local ufrag of the generation that is being gathered.
	ufrag string
	conn  *ice.Conn
	// The remote ufrag, and whether a restart of our own waits for its answer.
	remote   string
	awaiting bool
	lock     sync.Mutex
}

func (p *peer) say(kind string, fields line) {
	p.out.Lock()
	defer p.out.Unlock()
	fields["type"] = kind
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func (p *peer) ms() float64 {
	if p.since.IsZero() {
		return 0
	}
	return float64(time.Since(p.since).Microseconds()) / 1000
}

func (p *peer) state(state string) { p.say("state", line{"state": state, "ms": p.ms()}) }

func (p *peer) fault(err interface{}) { p.say("error", line{"message": fmt.Sprint(err)}) }

// The credentials of a generation, and then its candidates.
func (p *peer) gather() error {
	ufrag, pwd, err := p.agent.GetLocalUserCredentials()
	if err != nil {
		return err
	}
	p.ufrag = ufrag
	p.say("credentials", line{"ufrag": ufrag, "pwd": pwd, "lite": p.lite})
	return p.agent.GatherCandidates()
}

func (p *peer) gathered(c ice.Candidate) {
	if c == nil {
		for _, held := range p.held {
			p.say("candidate", held)
		}
		p.held = nil
		p.say("end-of-candidates", line{"ufrag": p.ufrag})
		return
	}
	fields := line{"candidate": "candidate:" + c.Marshal(), "ufrag": p.ufrag}
	if p.noTrickle {
		p.held = append(p.held, fields)
	} else {
		p.say("candidate", fields)
	}
}

func (p *peer) changed(state ice.ConnectionState) {
	switch state {
	case ice.ConnectionStateConnected:
		p.state("connected")
		p.state("completed")
	case ice.ConnectionStateFailed:
		p.state("failed")
		os.Exit(1)
	default:
		p.state(strings.ToLower(state.String()))
	}
}

// Once a process: afterwards the same connection goes on over whatever the agent selects.
func (p *peer) connect(ufrag, pwd string) {
	ctx := context.Background()
	if p.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.timeout)
		defer cancel()
	}
	connect := p.agent.Accept
	if p.controlling {
		connect = p.agent.Dial
	}
	conn, err := connect(ctx, ufrag, pwd)
	if err != nil {
		p.fault(err)
		p.state("failed")
		os.Exit(1)
	}
	p.lock.Lock()
	p.conn = conn
	p.lock.Unlock()
	buf := make([]byte, 65536)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		p.say("data", line{"text": string(buf[:n])})
		if p.echo {
			_, _ = conn.Write(buf[:n])
		}
	}
}

func (p *peer) write(data []byte) error {
	p.lock.Lock()
	conn := p.conn
	p.lock.Unlock()
	if conn == nil {
		return fmt.Errorf("send: not connected")
	}
	_, err := conn.Write(data)
	return err
}

func (p *peer) credentials(ufrag, pwd string) error {
	if ufrag == p.remote {
		return nil
	}
	first := p.remote == ""
	p.remote = ufrag
	if first {
		p.since = time.Now()
		go p.connect(ufrag, pwd)
		return nil
	}
	if !p.awaiting {
		if err := p.restart(); err != nil {
			return err
		}
	}
	p.awaiting = false
	return p.agent.SetRemoteCredentials(ufrag, pwd)
}

func (p *peer) restart() error {
	if err := p.agent.Restart("", ""); err != nil {
		return err
	}
	return p.gather()
}

func (p *peer) take(in line) error {
	text := func(name string) string { text, _ := in[name].(string); return text }
	number := func(name string) int { number, _ := in[name].(float64); return int(number) }
	if ufrag := text("ufrag"); text("type") != "credentials" && ufrag != "" && ufrag != p.remote {
		return fmt.Errorf("%s is of generation %s, not %s", text("type"), ufrag, p.remote)
	}
	switch text("type") {
	case "credentials":
		return p.credentials(text("ufrag"), text("pwd"))
	case "candidate":
		candidate, err := ice.UnmarshalCandidate(strings.TrimPrefix(text("candidate"), "candidate:"))
		if err != nil {
			return err
		}
		return p.agent.AddRemoteCandidate(candidate)
	case "send":
		return p.write([]byte(text("text")))
	case "burst":
		for i := 1; i <= number("count"); i++ {
			data := []byte(fmt.Sprintf("burst %d ", i))
			if missing := number("size") - len(data); missing > 0 {
				data = append(data, bytes.Repeat([]byte("."), missing)...)
			}
			if err := p.write(data); err != nil {
				return err
			}
		}
	case "restart":
		p.awaiting = true
		return p.restart()
	case "stats":
		return fmt.Errorf("unsupported: stats")
	}
	return nil
}

func main() {
	p := &peer{options: parse(os.Args[1:])}
	agent, err := ice.NewAgent(p.config())
	if err != nil {
		usage(err)
	}
	p.agent = agent
	_ = agent.OnCandidate(p.gathered)
	_ = agent.OnConnectionStateChange(p.changed)
	_ = agent.OnSelectedCandidatePairChange(func(local, remote ice.Candidate) {
		p.say("selected", line{
			"local": "candidate:" + local.Marshal(), "remote": "candidate:" + remote.Marshal(), "ms": p.ms(),
		})
	})
	if err := p.gather(); err != nil {
		p.fault(err)
		os.Exit(1)
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		var in line
		if err := json.Unmarshal(input.Bytes(), &in); err != nil {
			p.fault(fmt.Sprint("malformed line: ", err))
			continue
		}
		if in["type"] == "close" {
			break
		}
		if err := p.take(in); err != nil {
			p.fault(err)
		}
	}
	_ = agent.Close()
	p.state("closed")
}
