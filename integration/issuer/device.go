package issuer

import (
	"html/template"
	"net/http"
	"slices"
)

// page is the whole of the device sign-in. It works by curl:
//
//	curl -d user_code=… -d username=… -d password=… -d action=allow URL/device
var page = template.Must(template.New("device").Parse(`<!doctype html>
<meta charset="utf-8"><title>Sign in a device</title>
<h1>Sign in a device</h1>
{{with .Message}}<p><strong>{{.}}</strong></p>{{end}}
{{if not .Done}}<form method="post" action="/device">
<p><label>Code <input name="user_code" value="{{.Code}}" required></label></p>
<p><label>Name <input name="username" required></label></p>
<p><label>Password <input name="password" type="password" required></label></p>
<p><button name="action" value="allow">Allow</button> <button name="action" value="deny">Deny</button></p>
</form>{{end}}
`))

type pageData struct {
	Code, Message string
	Done          bool
}

func (s *storage) devicePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	data := pageData{Code: r.FormValue("user_code")}
	if r.Method == http.MethodPost {
		var status int
		if data.Message, status = s.submit(r); status != http.StatusOK {
			w.WriteHeader(status)
		} else {
			data.Done = true
		}
	}
	_ = page.Execute(w, data)
}

// submit takes the form and says what became of it.
func (s *storage) submit(r *http.Request) (message string, status int) {
	name, password := r.PostFormValue("username"), r.PostFormValue("password")
	i := slices.IndexFunc(s.cfg.Users, func(u User) bool { return u.Name == name && u.Password == password })
	action := r.PostFormValue("action")
	switch {
	case i < 0 || password == "":
		return "Wrong name or password.", http.StatusForbidden
	case action != "allow" && action != "deny":
		return "The action is allow or deny.", http.StatusBadRequest
	}
	if err := s.finish(r.PostFormValue("user_code"), s.cfg.Users[i].Subject, action == "allow"); err != nil {
		return "This code is unknown or has expired.", http.StatusNotFound
	}
	if action == "deny" {
		return "Denied. You can close this page.", http.StatusOK
	}
	return "Signed in. You can go back to your terminal.", http.StatusOK
}
