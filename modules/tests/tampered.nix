# A file that is not what the index promises has no path, and the host goes on with its other models.
{ module }:
let
  story = import ./parts/story.nix { inherit module; };
  honest = story.entry "ajna-insight-v1" "the weights of a story";
  promised = story.entry "manipura-will-v1" "what was promised";
  served = promised // {
    text = "what was tampered";
  };
in
{
  name = "hallmark-tampered";
  nodes = {
    hub = story.hub {
      files = [
        honest
        served
      ];
    };
    host = story.host {
      indexPath = story.index [
        honest
        promised
      ];
      deployedModels = [
        honest.id
        promised.id
      ];
      huggingFace.endpoint = "http://hub";
    };
  };
  testScript = ''
    ${story.looks}
    start_all()
    hub.wait_for_open_port(80)
    wait_for_state(host, "${honest.id}", "deployed")
    wait_for_state(host, "${promised.id}", "quarantined")
    host.fail("test -e /var/lib/models/${promised.id}")
    host.fail("grep -rl 'what was tampered' /var/lib/models/objects /var/lib/models/hf-cache")
    host.succeed("journalctl -u hallmark.service | grep 'Model checksum verification failed'")
    host.succeed("systemctl is-active hallmark.service")
    host.succeed("curl -sSf http://127.0.0.1:8420/healthz")
    host.succeed("systemctl is-active hallmark-model@${honest.id}.target")
    host.fail("systemctl is-active models.target")
  '';
}
