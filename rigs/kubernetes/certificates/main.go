// Command certificates writes every key and certificate a rig's control plane needs
// into one folder: the serving certificate that clients verify, the pair that the API
// server shows to aggregated servers (front proxy), and the key that signs service
// account tokens. They are made anew for each start and never leave that folder.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A rig lives for minutes; a day covers a person who leaves one running, and the hour
// before now covers a clock that is a little behind.
const (
	lifetime = 24 * time.Hour
	backdate = time.Hour
)

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: certificates FOLDER")
	}
	folder := os.Args[1]
	serving := newAuthority(folder, "ca", "mplp-predictor rig")
	serving.issue(folder, "apiserver", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	proxy := newAuthority(folder, "front-proxy-ca", "mplp-predictor rig front proxy")
	proxy.issue(folder, "front-proxy-client", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "front-proxy-client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	accounts := newKey()
	writeKey(folder, "service-account", accounts)
	public := must(x509.MarshalPKIXPublicKey(&accounts.PublicKey))
	write(folder, "service-account.pub", "PUBLIC KEY", public)
}

func newAuthority(folder, file, name string) authority {
	key := newKey()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	complete(template)
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	write(folder, file+".crt", "CERTIFICATE", der)
	return authority{must(x509.ParseCertificate(der)), key}
}

func (a authority) issue(folder, file string, template *x509.Certificate) {
	key := newKey()
	template.KeyUsage = x509.KeyUsageDigitalSignature
	complete(template)
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key))
	write(folder, file+".crt", "CERTIFICATE", der)
	writeKey(folder, file, key)
}

func complete(template *x509.Certificate) {
	template.SerialNumber = must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)))
	template.NotBefore = time.Now().Add(-backdate)
	template.NotAfter = time.Now().Add(lifetime)
}

func newKey() *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func writeKey(folder, file string, key *ecdsa.PrivateKey) {
	write(folder, file+".key", "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(key)))
}

func write(folder, file, kind string, der []byte) {
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(folder, file), block, 0o600); err != nil {
		log.Fatal(err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
