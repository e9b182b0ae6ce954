// Package devices is a product that knows nothing of webhooks: a list of devices behind an API.
package devices

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// maxBody is how many bytes the body of a call can have.
const maxBody = 1 << 20

// Device is one device.
type Device struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
}

type product struct {
	mu      sync.Mutex
	last    int // the number in the id that was given last
	devices map[string]Device
}

// Handler serves POST /devices, GET /devices/{id} and DELETE /devices/{id}.
func Handler() http.Handler {
	p := &product{devices: make(map[string]Device)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /devices", p.create)
	mux.HandleFunc("GET /devices/{id}", p.read)
	mux.HandleFunc("DELETE /devices/{id}", p.delete)
	return mux
}

func (p *product) create(w http.ResponseWriter, r *http.Request) {
	var d Device
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&d); err != nil || d.Hostname == "" {
		http.Error(w, "give a hostname", http.StatusUnprocessableEntity)
		return
	}
	p.mu.Lock()
	p.last++
	d.ID = "dev_" + strconv.Itoa(p.last)
	p.devices[d.ID] = d
	p.mu.Unlock()
	answer(w, http.StatusCreated, d)
}

func (p *product) read(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	d, ok := p.devices[r.PathValue("id")]
	p.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	answer(w, http.StatusOK, d)
}

func (p *product) delete(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	_, ok := p.devices[r.PathValue("id")]
	delete(p.devices, r.PathValue("id"))
	p.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, status int, d Device) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(d) // an error says that the client has gone
}
