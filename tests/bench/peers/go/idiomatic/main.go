// A bulk delete as a good Go programmer would write it with the standard library: a peer in tests/bench/compare.py.
//
//	idiomatic -url URL [-ca FILE] -list FILE -batch 100 -connections 16 -journal FILE
//
// URL is that of the batch delete; the keys come from HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK. Every request is
// signed, every answer is held against what was sent, and an id counts once its verdict is on stable storage. Unlike
// culld it has no intents, retries, rate limit, check of the list or recovery.
package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	projectID   = "p"
	contentType = "application/json;charset=UTF-8"
	dateFormat  = "20060102T150405Z"
	groupWindow = 5 * time.Millisecond // culld's
)

type deleteRequest struct {
	BatchIDs []string `json:"batch_ids"`
}

type deleteAnswer struct {
	Data struct {
		SuccessIDs []string `json:"success_ids"`
		ErrorIDs   []string `json:"error_ids"`
	} `json:"data"`
}

// result tells what became of a batch, id by id.
type result struct {
	ids      []string
	verdicts map[string]string
}

type client struct {
	http     *http.Client
	endpoint *url.URL
	ak, sk   string
}

func newClient(endpoint, caFile string, connections int) (*client, error) {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &client{
		http:     &http.Client{Transport: transport, Timeout: 30 * time.Second},
		endpoint: parsed,
		ak:       os.Getenv("HUAWEICLOUD_SDK_AK"),
		sk:       os.Getenv("HUAWEICLOUD_SDK_SK"),
	}, nil
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sign adds the headers of SDK-HMAC-SHA256. The path needs no escaping here.
func (c *client) sign(request *http.Request, body []byte) {
	date := time.Now().UTC().Format(dateFormat)
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("X-Project-Id", projectID)
	request.Header.Set("X-Sdk-Date", date)
	const names = "content-type;host;x-project-id;x-sdk-date"
	canonical := strings.Join([]string{
		request.Method,
		c.endpoint.Path + "/",
		"",
		"content-type:" + contentType,
		"host:" + c.endpoint.Host,
		"x-project-id:" + projectID,
		"x-sdk-date:" + date,
		"",
		names,
		hexSHA256(body),
	}, "\n")
	mac := hmac.New(sha256.New, []byte(c.sk))
	fmt.Fprintf(mac, "SDK-HMAC-SHA256\n%s\n%s", date, hexSHA256([]byte(canonical)))
	request.Header.Set("Authorization", fmt.Sprintf("SDK-HMAC-SHA256 Access=%s, SignedHeaders=%s, Signature=%s",
		c.ak, names, hex.EncodeToString(mac.Sum(nil))))
}

func (c *client) remove(ids []string) (*result, error) {
	body, err := json.Marshal(deleteRequest{BatchIDs: ids})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, c.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.sign(request, body)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, content)
	}
	var answer deleteAnswer
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, err
	}
	return judge(ids, &answer), nil
}

// judge holds the answer against what was sent: an id that is in neither list, or in both, is unknown.
func judge(ids []string, answer *deleteAnswer) *result {
	verdicts := make(map[string]string, len(ids))
	for _, id := range ids {
		verdicts[id] = "unknown"
	}
	for _, id := range answer.Data.SuccessIDs {
		if _, sent := verdicts[id]; sent {
			verdicts[id] = "deleted"
		}
	}
	for _, id := range answer.Data.ErrorIDs {
		switch verdicts[id] {
		case "deleted":
			verdicts[id] = "unknown"
		case "unknown":
			verdicts[id] = "failed"
		}
	}
	return &result{ids: ids, verdicts: verdicts}
}

// keepJournal writes a block for each result that comes, which begins with the hash of the block before, commits once a
// window, and returns how many ids are on stable storage.
func keepJournal(path string, results <-chan *result) (answered int, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	writer := bufio.NewWriterSize(file, 1<<20)
	pending := 0
	commit := func() error {
		if err := writer.Flush(); err != nil {
			return err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return err
		}
		answered += pending
		pending = 0
		return nil
	}
	previous := strings.Repeat("0", 2*sha256.Size)
	var block bytes.Buffer
	var window <-chan time.Time
	for number := 0; ; {
		select {
		case r, more := <-results:
			if !more {
				return answered, commit()
			}
			block.Reset()
			fmt.Fprintf(&block, "batch %d %d %s\n", number, len(r.ids), previous)
			for _, id := range r.ids {
				block.WriteString(id)
				block.WriteByte(' ')
				block.WriteString(r.verdicts[id])
				block.WriteByte('\n')
			}
			previous = hexSHA256(block.Bytes())
			if _, err := writer.Write(block.Bytes()); err != nil {
				return answered, err
			}
			number++
			pending += len(r.ids)
			if window == nil {
				window = time.After(groupWindow)
			}
		case <-window:
			window = nil
			if err := commit(); err != nil {
				return answered, err
			}
		}
	}
}

// readBatches sends the list's ids in batches and returns how many there are.
func readBatches(path string, size int, batches chan<- []string) (total int, err error) {
	defer close(batches)
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	batch := make([]string, 0, size)
	for scanner.Scan() {
		id := strings.TrimSpace(scanner.Text())
		if id == "" {
			continue
		}
		batch = append(batch, id)
		total++
		if len(batch) == size {
			batches <- batch
			batch = make([]string, 0, size)
		}
	}
	if len(batch) > 0 {
		batches <- batch
	}
	return total, scanner.Err()
}

func run() error {
	endpoint := flag.String("url", "", "the batch delete")
	caFile := flag.String("ca", "", "the certificate to trust")
	list := flag.String("list", "", "ids, one a line")
	size := flag.Int("batch", 100, "ids in a request")
	connections := flag.Int("connections", 16, "requests at a time")
	journal := flag.String("journal", "", "where to write what became of each id")
	flag.Parse()
	c, err := newClient(*endpoint, *caFile, *connections)
	if err != nil {
		return err
	}
	batches := make(chan []string, *connections)
	results := make(chan *result, *connections)
	var workers sync.WaitGroup
	for i := 0; i < *connections; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for ids := range batches {
				r, err := c.remove(ids)
				if err != nil {
					fmt.Fprintln(os.Stderr, err) // its ids stay unanswered
					continue
				}
				results <- r
			}
		}()
	}
	var total int
	var listError error
	go func() {
		total, listError = readBatches(*list, *size, batches)
		workers.Wait()
		close(results)
	}()
	answered, err := keepJournal(*journal, results)
	if err != nil {
		return err
	}
	if listError != nil {
		return listError
	}
	if answered != total {
		return fmt.Errorf("%d of %d ids have no answer", total-answered, total)
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
