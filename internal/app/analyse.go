package app

import (
	"context"
	"errors"

	"github.com/weir-gateway/weir/internal/gate"
)

// LooksLikeHTTP says whether a text is "METHOD /path".
func LooksLikeHTTP(string) bool { return false }

// Analyse says what a statement or request is, as a session would.
func Analyse(context.Context, gate.Target, string, string, Classes) (*gate.Operation, error) {
	return nil, errors.New("not wired")
}
