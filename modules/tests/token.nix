# The token reaches the hub by a systemd credential, and nothing else: not the store, the journal or an environment.
{ module }:
let
  story = import ./parts/story.nix { inherit module; };
  gated = story.entry "ajna-insight-v1" "gated weights";
  token = "hf_storyOfATokenThatNobodySees";
in
{
  name = "hallmark-token";
  nodes = {
    hub = story.hub {
      files = [ gated ];
      extraConfig = ''if ($http_authorization != "Bearer ${token}") { return 401; }'';
    };
    host =
      { config, ... }:
      {
        imports = [
          (story.host {
            indexPath = story.index [ gated ];
            deployedModels = [ gated.id ];
            # A token goes over plain HTTP to this machine only; the proxy carries it on.
            huggingFace.endpoint = "http://127.0.0.1:8000";
            huggingFace.tokenFile = "/run/keys/hub-token";
          })
        ];
        systemd.sockets.to-hub = {
          wantedBy = [ "sockets.target" ];
          listenStreams = [ "127.0.0.1:8000" ];
        };
        systemd.services.to-hub.serviceConfig.ExecStart = "${config.systemd.package}/lib/systemd/systemd-socket-proxyd hub:80";
        # The token comes to the host while it runs, as a secret does.
        systemd.services.hallmark.unitConfig.ConditionPathExists = "/run/keys/hub-token";
      };
  };
  testScript = ''
    ${story.looks}
    token = "hf_" + "storyOfATokenThatNobodySees"
    start_all()
    hub.wait_for_open_port(80)
    host.wait_for_unit("multi-user.target")
    host.succeed(f"install -D -m 0400 /dev/stdin /run/keys/hub-token <<< {token}")
    host.succeed("systemctl restart hallmark.service")
    wait_for_state(host, "${gated.id}", "deployed")
    pid = host.succeed("systemctl show -P MainPID hallmark.service").strip()
    host.fail(f"grep -z {token} /proc/{pid}/environ /proc/{pid}/cmdline")
    host.fail(f"journalctl --no-pager -u hallmark.service | grep {token}")
    host.fail(f"grep -rl {token} /etc/hallmark /var/lib/hallmark /var/lib/models")
    host.fail(f"grep {token} $(systemctl show -P FragmentPath hallmark.service)")
    host.succeed("test $(stat -c %U /run/keys/hub-token) = root")
  '';
}
