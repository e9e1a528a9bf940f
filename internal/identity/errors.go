package identity

import (
	"fmt"
	"strings"
	"time"
)

// Code says why a token or certificate was refused; it is a metric's label and stable.
type Code string

// The codes.
const (
	Missing       Code = "missing"
	TooLarge      Code = "too_large"
	Malformed     Code = "malformed"
	UnknownIssuer Code = "unknown_issuer"
	Unreachable   Code = "issuer_unreachable"
	NotAccepted   Code = "not_accepted" // signature, algorithm or type
	Expired       Code = "expired"
	NotYetValid   Code = "not_yet_valid"
	WrongAudience Code = "wrong_audience"
	NoSubject     Code = "no_subject"
	BadDelegation Code = "bad_delegation"

	NoCertificate          Code = "no_certificate"
	NobodysCertificate     Code = "unknown_name" // it names nobody who is known here
	CertificateNotAccepted Code = "certificate_not_accepted"
)

// Error is a refused token or certificate.
type Error struct {
	Code   Code
	public string
	cause  error // for the log; never holds a token
}

// Public says to the one who asked what to do. Of a signature it says only that
// the token was not accepted.
func (e *Error) Public() string { return e.public }

// Error is for the gateway's log.
func (e *Error) Error() string {
	if e.cause != nil { // at most a line: what an issuer answered may be long
		return fmt.Sprintf("sign-in refused (%s): %.300s", e.Code, e.cause.Error())
	}
	return fmt.Sprintf("sign-in refused (%s): %s", e.Code, e.public)
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.cause }

const getOne = "get a token with: weir token"

func refuse(code Code, public string, cause error) *Error {
	return &Error{Code: code, public: public, cause: cause}
}

func missing() *Error { return refuse(Missing, "no token was given; "+getOne, nil) }

func tooLarge(limit int) *Error {
	return refuse(TooLarge, fmt.Sprintf("the token is larger than %d KiB; ask for one with fewer claims", limit>>10), nil)
}

func malformed(cause error) *Error {
	return refuse(Malformed, "this is not a token (a JWT); "+getOne, cause)
}

func notAccepted(cause error) *Error {
	return refuse(NotAccepted, "the token was not accepted", cause)
}

func unknownIssuer(trusted []string) *Error {
	return refuse(UnknownIssuer, "the token's issuer is not trusted here; trusted: "+strings.Join(trusted, ", "), nil)
}

func unreachable(cause error) *Error {
	return refuse(Unreachable, "nobody can sign in at the moment, because the token's issuer cannot be reached; try again in a minute", cause)
}

func expired(at time.Time) *Error {
	return refuse(Expired, fmt.Sprintf("the token expired at %s; get a new one: weir token", at.UTC().Format(time.RFC3339)), nil)
}

func notYetValid(from time.Time) *Error {
	return refuse(NotYetValid, fmt.Sprintf("the token is valid from %s only; check the clock of the machine that got it", from.UTC().Format(time.RFC3339)), nil)
}

func wrongAudience(want []string) *Error {
	return refuse(WrongAudience, fmt.Sprintf("the token is for another audience; get one for %s", strings.Join(want, " or ")), nil)
}
