# shellcheck shell=bash
# The keys of one Kubernetes cluster: made new each time, good for a year, never outside $STATE/pki.
# They say what each may be used for, or Python 3.13 does not take them. Sourced, never run.

make_certificates() { # number of nodes
    local node name
    mkdir -m 700 "$PKI"
    make_key "$PKI/ca.key"
    openssl req -x509 -new -key "$PKI/ca.key" -days 365 -subj /CN=tac-kubernetes-ca \
        -addext keyUsage=critical,digitalSignature,keyCertSign -out "$PKI/ca.crt"
    make_key "$PKI/sa.key"
    openssl ec -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
    sign apiserver /CN=kube-apiserver "$(apiserver_names)"
    sign apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
    sign admin /O=system:masters/CN=admin
    sign controller-manager /CN=system:kube-controller-manager
    sign scheduler /CN=system:kube-scheduler
    sign proxy /CN=system:kube-proxy
    for name in admin controller-manager scheduler; do
        write_kubeconfig "$name" https://127.0.0.1:6443
    done
    write_kubeconfig proxy "https://$HOST:6443"
    for node in $(seq "$1"); do
        sign "node-$node" "/O=system:nodes/CN=system:node:node-$node" \
            "IP:$(node_address "$node"),DNS:node-$node"
        write_kubeconfig "node-$node" "https://$HOST:6443"
    done
}

apiserver_names() {
    local name=kubernetes.default.svc
    printf 'IP:127.0.0.1,IP:%s,IP:%s,DNS:localhost' "$HOST" "${SERVICES%.0/16}.1"
    printf ',DNS:%s' kubernetes kubernetes.default $name $name.cluster.local
}

make_key() { # file
    openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

sign() { # name, subject, alternative names
    make_key "$PKI/$1.key"
    openssl req -new -key "$PKI/$1.key" -subj "$2" -out "$PKI/$1.csr"
    openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial \
        -days 365 -out "$PKI/$1.crt" -extfile <(extensions "${3:-}") 2>/dev/null
    rm "$PKI/$1.csr"
}

extensions() { # alternative names
    printf '%s\n' authorityKeyIdentifier=keyid subjectKeyIdentifier=hash ${1:+subjectAltName=$1}
}

write_kubeconfig() { # name, server
    cat >"$PKI/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: tac-kubernetes
contexts:
  - name: tac-kubernetes
    context: {cluster: tac-kubernetes, user: $1}
clusters:
  - name: tac-kubernetes
    cluster:
      server: $2
      certificate-authority-data: $(base64 -w 0 "$PKI/ca.crt")
users:
  - name: $1
    user:
      client-certificate-data: $(base64 -w 0 "$PKI/$1.crt")
      client-key-data: $(base64 -w 0 "$PKI/$1.key")
YAML
}
