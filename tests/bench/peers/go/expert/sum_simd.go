//go:build simd

package main

import "github.com/minio/sha256-simd"

// The processor's own instructions, as Go's library uses them from 1.21 on.
func sum256(data []byte) [32]byte { return sha256.Sum256(data) }
