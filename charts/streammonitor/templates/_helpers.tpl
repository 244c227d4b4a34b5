{{- define "streammonitor.labels" -}}
app.kubernetes.io/name: streammonitor-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "streammonitor.selector" -}}
app.kubernetes.io/name: streammonitor-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "streammonitor.image" -}}
{{ .image.repository }}:{{ .image.tag | default .context.Chart.AppVersion }}
{{- end }}

{{/* What workers must not reach: networks that are named, and the cluster's Services. */}}
{{- define "streammonitor.deniedNetworks" -}}
{{- $networks := .deniedNetworks -}}
{{- if .denyClusterServices -}}
{{- with lookup "networking.k8s.io/v1" "ServiceCIDR" "" "" -}}
{{- range .items -}}
{{- $networks = concat $networks .spec.cidrs -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join "," $networks -}}
{{- end }}
