// A bulk delete as an expert in fast Go would write it: a peer in tests/bench/compare.py.
//
//	expert -url URL [-ca FILE] -list FILE -batch 100 -connections 16 -journal FILE
//
// URL is that of the batch delete; the keys come from HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK. It is fasthttp, bytes
// and buffers that are used again; with the build tag simd it hashes as a newer Go would. The journal is that of its
// idiomatic sibling: a chained block for each answer, one fdatasync a window, and an id counts once it is on stable
// storage. It takes the answer's lists at their word, where culld and the sibling hold them against what was sent: that
// favours it. It has no intents, retries, rate limit, check of the list or recovery.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	projectID    = "p"
	contentType  = "application/json;charset=UTF-8"
	signed       = "content-type;host;x-project-id;x-sdk-date"
	dateFormat   = "20060102T150405Z"
	groupWindow  = 5 * time.Millisecond // culld's
	bufferBytes  = 64 << 10             // a request or answer of 999 ids goes through in one piece
	backlogBytes = 8 << 20
)

// list hands out the file's lines to whoever asks.
type list struct {
	mutex      sync.Mutex
	file       *os.File
	buffer     []byte
	begin, end int
	ended      bool
	total      int
}

func openList(path string) (*list, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &list{file: file, buffer: make([]byte, 256<<10)}, nil
}

// line is the next one, valid until the next call; nil at the end.
func (l *list) line() ([]byte, error) {
	for {
		if at := bytes.IndexByte(l.buffer[l.begin:l.end], '\n'); at >= 0 {
			line := l.buffer[l.begin : l.begin+at]
			l.begin += at + 1
			return line, nil
		}
		if l.ended {
			line := l.buffer[l.begin:l.end]
			l.begin = l.end
			if len(line) == 0 {
				return nil, nil
			}
			return line, nil
		}
		l.end = copy(l.buffer, l.buffer[l.begin:l.end])
		l.begin = 0
		if l.end == len(l.buffer) {
			return nil, errors.New("a line of the list is too long")
		}
		n, err := l.file.Read(l.buffer[l.end:])
		l.end += n
		if err == io.EOF {
			l.ended = true
		} else if err != nil {
			return nil, err
		}
	}
}

// appendBody makes the body of the next request, and tells how many ids are in it.
func (l *list) appendBody(body []byte, batch int) ([]byte, int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	body = append(body, `{"batch_ids":[`...)
	count := 0
	for count < batch {
		id, err := l.line()
		if err != nil {
			return body, 0, err
		}
		if id == nil {
			break
		}
		if len(id) == 0 {
			continue
		}
		body = append(body, '"')
		body = append(body, id...)
		body = append(body, '"', ',')
		count++
	}
	l.total += count
	body[len(body)-1] = ']' // in place of the last comma
	return append(body, '}'), count, nil
}

// journal gathers blocks while the one before is on its way to the disk.
type journal struct {
	file     *os.File
	mutex    sync.Mutex
	room     sync.Cond
	pending  []byte
	ids      int
	number   int64
	previous [2 * sha256.Size]byte
	wanted   chan struct{}
	ended    chan struct{}
	failed   error
	answered int
}

func openJournal(path string) (*journal, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, wanted: make(chan struct{}, 1), ended: make(chan struct{})}
	j.room.L = &j.mutex
	for i := range j.previous {
		j.previous[i] = '0'
	}
	go j.commitAll()
	return j, nil
}

func (j *journal) commitAll() {
	defer close(j.ended)
	var writing []byte
	for more := true; more; {
		if _, more = <-j.wanted; more {
			time.Sleep(groupWindow)
		}
		j.mutex.Lock()
		writing, j.pending = j.pending, writing[:0]
		ids := j.ids
		j.ids = 0
		j.room.Broadcast()
		j.mutex.Unlock()
		if len(writing) == 0 {
			continue
		}
		_, err := j.file.Write(writing)
		if err == nil {
			err = syscall.Fdatasync(int(j.file.Fd()))
		}
		if err != nil {
			j.mutex.Lock()
			j.failed = err
			j.room.Broadcast()
			j.mutex.Unlock()
			return
		}
		j.answered += ids
	}
}

var (
	deletedList = []byte(`"success_ids":[`)
	failedList  = []byte(`"error_ids":[`)
	deletedEnd  = []byte(" deleted\n")
	failedEnd   = []byte(" failed\n")
)

// appendVerdicts adds a line for each id of the list in the answer.
func appendVerdicts(out, answer, name, verdict []byte) ([]byte, int, error) {
	at := bytes.Index(answer, name)
	if at < 0 {
		return out, 0, fmt.Errorf("no %s in the answer", name)
	}
	rest := answer[at+len(name):]
	for count := 0; ; count++ {
		if len(rest) > 0 && rest[0] == ',' && count > 0 {
			rest = rest[1:]
		}
		if len(rest) > 0 && rest[0] == ']' {
			return out, count, nil
		}
		if len(rest) == 0 || rest[0] != '"' {
			return out, 0, errors.New("the answer can't be read")
		}
		end := bytes.IndexByte(rest[1:], '"')
		if end < 0 {
			return out, 0, errors.New("the answer is cut")
		}
		out = append(out, rest[1:1+end]...)
		out = append(out, verdict...)
		rest = rest[end+2:]
	}
}

// add appends the block of an answer, which tells of `count` ids.
func (j *journal) add(answer []byte, count int) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	for len(j.pending) > backlogBytes && j.failed == nil {
		j.room.Wait()
	}
	if j.failed != nil {
		return j.failed
	}
	begin := len(j.pending)
	out := append(j.pending, "batch "...)
	out = strconv.AppendInt(out, j.number, 10)
	out = append(out, ' ')
	out = strconv.AppendInt(out, int64(count), 10)
	out = append(out, ' ')
	out = append(out, j.previous[:]...)
	out = append(out, '\n')
	out, deleted, err := appendVerdicts(out, answer, deletedList, deletedEnd)
	if err != nil {
		return err
	}
	out, failed, err := appendVerdicts(out, answer, failedList, failedEnd)
	if err != nil {
		return err
	}
	if deleted+failed != count {
		return fmt.Errorf("an answer of %d ids to a request of %d", deleted+failed, count)
	}
	sum := sum256(out[begin:])
	hex.Encode(j.previous[:], sum[:])
	j.pending = out
	j.ids += count
	j.number++
	select {
	case j.wanted <- struct{}{}:
	default:
	}
	return nil
}

// close returns how many ids are on stable storage.
func (j *journal) close() (int, error) {
	close(j.wanted)
	<-j.ended
	return j.answered, j.failed
}

// signer keeps the canonical request, of which only the date and the body's hash change.
type signer struct {
	canonical     []byte
	dateAt        int
	text          []byte // the string to sign
	authorization []byte
	mac           hash.Hash
	sum           [sha256.Size]byte
	second        int64
	date          []byte
}

func newSigner(endpoint *url.URL, ak, sk string) *signer {
	s := &signer{mac: hmac.New(sha256.New, []byte(sk)), date: make([]byte, len(dateFormat))}
	s.canonical = []byte("POST\n" + endpoint.Path + "/\n\ncontent-type:" + contentType + "\nhost:" + endpoint.Host +
		"\nx-project-id:" + projectID + "\nx-sdk-date:")
	s.dateAt = len(s.canonical)
	s.canonical = append(s.canonical, dateFormat+"\n\n"+signed+"\n"...)
	s.canonical = append(s.canonical, make([]byte, 2*sha256.Size)...)
	s.text = []byte("SDK-HMAC-SHA256\n" + dateFormat + "\n")
	s.text = append(s.text, make([]byte, 2*sha256.Size)...)
	s.authorization = []byte("SDK-HMAC-SHA256 Access=" + ak + ", SignedHeaders=" + signed + ", Signature=")
	s.authorization = append(s.authorization, make([]byte, 2*sha256.Size)...)
	return s
}

func hexTail(out []byte, sum []byte) { hex.Encode(out[len(out)-2*len(sum):], sum) }

func (s *signer) sign(request *fasthttp.Request, body []byte) {
	if now := time.Now(); now.Unix() != s.second {
		s.second = now.Unix()
		s.date = now.UTC().AppendFormat(s.date[:0], dateFormat)
		copy(s.canonical[s.dateAt:], s.date)
		copy(s.text[len("SDK-HMAC-SHA256\n"):], s.date)
	}
	sum := sum256(body)
	hexTail(s.canonical, sum[:])
	sum = sum256(s.canonical)
	hexTail(s.text, sum[:])
	s.mac.Reset()
	s.mac.Write(s.text)
	hexTail(s.authorization, s.mac.Sum(s.sum[:0]))
	request.Header.SetBytesV("X-Sdk-Date", s.date)
	request.Header.SetBytesV("Authorization", s.authorization)
}

func work(client *fasthttp.HostClient, endpoint *url.URL, ids *list, batch int, to *journal) error {
	var request fasthttp.Request
	var response fasthttp.Response
	request.Header.DisableNormalizing()
	request.SetRequestURI(endpoint.String())
	request.URI().DisablePathNormalizing = true // and parsed: Do looks at the scheme
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType(contentType)
	request.Header.Set("X-Project-Id", projectID)
	s := newSigner(endpoint, os.Getenv("HUAWEICLOUD_SDK_AK"), os.Getenv("HUAWEICLOUD_SDK_SK"))
	var body []byte
	for {
		var count int
		var err error
		if body, count, err = ids.appendBody(body[:0], batch); err != nil || count == 0 {
			return err
		}
		request.SetBodyRaw(body)
		s.sign(&request, body)
		if err = client.Do(&request, &response); err != nil {
			return err
		}
		if response.StatusCode() != fasthttp.StatusOK {
			return fmt.Errorf("%d: %s", response.StatusCode(), response.Body())
		}
		if err = to.add(response.Body(), count); err != nil {
			return err
		}
	}
}

func run() error {
	address := flag.String("url", "", "the batch delete")
	caFile := flag.String("ca", "", "the certificate to trust")
	path := flag.String("list", "", "ids, one a line")
	batch := flag.Int("batch", 100, "ids in a request")
	connections := flag.Int("connections", 16, "requests at a time")
	journalPath := flag.String("journal", "", "where to write what became of each id")
	flag.Parse()
	endpoint, err := url.Parse(*address)
	if err != nil {
		return err
	}
	client := &fasthttp.HostClient{
		Addr: endpoint.Host, MaxConns: *connections, ReadBufferSize: bufferBytes, WriteBufferSize: bufferBytes,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, NoDefaultUserAgentHeader: true,
		DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true, IsTLS: endpoint.Scheme == "https",
	}
	if *caFile != "" {
		pem, err := os.ReadFile(*caFile)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate", *caFile)
		}
		client.TLSConfig = &tls.Config{RootCAs: roots}
	}
	ids, err := openList(*path)
	if err != nil {
		return err
	}
	to, err := openJournal(*journalPath)
	if err != nil {
		return err
	}
	var workers sync.WaitGroup
	for i := 0; i < *connections; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			if err := work(client, endpoint, ids, *batch, to); err != nil {
				fmt.Fprintln(os.Stderr, err) // the ids that it held stay unanswered
			}
		}()
	}
	workers.Wait()
	answered, err := to.close()
	if err != nil {
		return err
	}
	// What no worker lived to read is not in the total.
	if rest, err := ids.line(); err != nil || rest != nil || answered != ids.total {
		return fmt.Errorf("ids without an answer: %d of those read", ids.total-answered)
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
